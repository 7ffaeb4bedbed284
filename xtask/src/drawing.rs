//! What all figures share: colors, text and legends.
//!
//! Colors are by Okabe and Ito (2008), which color-blind readers tell apart, with markers of
//! three shapes beside them.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(crate) const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(0, 0, 0),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One line of a legend: the color and the marker of curve number `index`, and its name.
pub(crate) fn legend(area: &Area<'_>, label: &str, index: usize) -> Result<()> {
    let row = i32::try_from(index).unwrap_or(0);
    let y = 60 + 24 * row;
    let color = COLORS[index % COLORS.len()];
    area.draw(&PathElement::new(vec![(4, y), (28, y)], color.stroke_width(2)))?;
    match index % 3 {
        0 => area.draw(&Circle::new((16, y), 4, color.filled()))?,
        1 => area.draw(&TriangleMarker::new((16, y), 5, color.filled()))?,
        _ => area.draw(&Cross::new((16, y), 4, color.stroke_width(2)))?,
    }
    area.draw(&Text::new(label.to_owned(), (36, y), text(13, HPos::Left, Ink::Black)))?;
    Ok(())
}

/// The marker of curve number `index` at a point of a chart.
pub(crate) fn mark<'a>(
    at: (f64, f64),
    index: usize,
) -> DynElement<'static, SVGBackend<'a>, (f64, f64)> {
    let color = COLORS[index % COLORS.len()];
    match index % 3 {
        0 => Circle::new(at, 4, color.filled()).into_dyn(),
        1 => TriangleMarker::new(at, 5, color.filled()).into_dyn(),
        _ => Cross::new(at, 4, color.stroke_width(2)).into_dyn(),
    }
}

/// What a cell of the heat map is written in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ink {
    Black,
    White,
}

pub(crate) fn text(size: i32, across: HPos, ink: Ink) -> TextStyle<'static> {
    let pos = Pos::new(across, VPos::Center);
    let color = match ink {
        Ink::Black => &BLACK,
        Ink::White => &WHITE,
    };
    TextStyle::from(("sans-serif", size).into_font()).color(color).pos(pos)
}

/// Three significant digits at the most.
pub(crate) fn tick(x: f64) -> String {
    // A power of ten has a logarithm that may fall short of a whole number.
    let magnitude = (x.log10() + 1e-9).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number that is not below 0"
    )]
    let decimals = (2.0 - magnitude).clamp(0.0, 6.0) as usize;
    let long = format!("{x:.decimals$}");
    if long.contains('.') {
        long.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        long
    }
}
