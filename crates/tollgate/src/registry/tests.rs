use tollgate_core::TokenPrice;

use super::*;

fn spec(text: &str) -> Spec {
    text.parse().unwrap()
}

fn composed(policy: &str, estimator: Option<&str>, solver: Option<&str>) -> Composition {
    compose(&spec(policy), estimator.map(spec).as_ref(), solver.map(spec).as_ref()).unwrap()
}

fn refused(policy: &str, estimator: Option<&str>, solver: Option<&str>) -> String {
    let (estimator, solver) = (estimator.map(spec), solver.map(spec));
    compose(&spec(policy), estimator.as_ref(), solver.as_ref()).unwrap_err().to_string()
}

#[test]
fn every_preset_composes_by_name() {
    let line = |preset: &Preset| {
        let made = composed(preset.name, None, None);
        let estimator = made.estimator.map_or_else(|| "-".to_owned(), |recipe| recipe.name());
        let solver = made.solver.unwrap_or_else(|| "-".to_owned());
        assert_eq!(made.label, preset.name);
        assert_eq!(solver != "-", preset.uses_solver());
        format!("{} | {} | {estimator} | {solver}\n", preset.name, made.policy.name())
    };
    let table: String = POLICIES.iter().map(line).collect();
    insta::assert_snapshot!(table, @"
    random | random | - | -
    round-robin | round-robin | knn(k=5) | -
    balance | balance | knn(k=5) | -
    shortest-wait | shortest-wait | knn(k=5) | -
    fixed | fixed | knn(k=5) | -
    greedy-perf | greedy-perf | knn(k=5) | -
    greedy-cost | greedy-cost | knn(k=5) | -
    greedy-density | greedy-density | knn(k=5) | -
    knn-perf | greedy-perf | knn(k=5) | -
    knn-cost | greedy-cost | knn(k=5) | -
    trained-perf | greedy-perf | trained | -
    trained-cost | greedy-cost | trained | -
    eagle | greedy-perf(within budget) | eagle | -
    threshold | threshold | knn(k=5) | -
    exp-threshold | exp-threshold | knn(k=5) | -
    batch-split | batch-split | knn(k=5) | auto
    batch-paced | batch-paced | knn(k=5) | auto
    port-reference | port-reference | knn(k=5) | auto
    port | port | knn(k=5) | auto
    geometric | geometric | knn(k=5) | auto
    descent | descent | auto | auto
    hybrid | hybrid | auto | auto
    resolve | resolve | auto | auto
    history | history | auto | auto
    history-resolve | history-resolve | auto | auto
    window-resolve | window-resolve | auto | auto
    explore | explore(tollgate) | auto | auto
    floor | floor | auto | auto
    floor-batch | floor-batch(reach=0.8) | auto | auto
    tollgate | tollgate | auto | auto
    ");
}

#[test]
fn every_estimator_and_solver_is_found_by_name() {
    for name in ESTIMATORS {
        estimator(&Spec::named(*name)).unwrap();
    }
    for name in SOLVERS {
        assert_eq!(solver(&Spec::named(*name)).unwrap().name(), *name);
    }
}

#[test]
fn pinned_estimators_stay_and_others_give_way() {
    for preset in POLICIES {
        let made = composed(preset.name, Some("ridge"), None);
        let name = made.estimator.map(|recipe| recipe.name());
        match preset.name {
            "random" => assert_eq!(name, None),
            "knn-perf" | "knn-cost" => assert_eq!(name.as_deref(), Some("knn(k=5)")),
            "trained-perf" | "trained-cost" => assert_eq!(name.as_deref(), Some("trained")),
            "eagle" => assert_eq!(name.as_deref(), Some("eagle")),
            _ => assert_eq!(name.as_deref(), Some("ridge"), "{}", preset.name),
        }
        let takes = name_of(preset, "ridge") == name_of(preset, "knn:k=9");
        assert_eq!(takes, !preset.takes_estimator(), "{}", preset.name);
    }
}

fn name_of(preset: &Preset, estimator: &str) -> Option<String> {
    composed(preset.name, Some(estimator), None).estimator.map(|recipe| recipe.name())
}

#[test]
fn parameters_reach_the_parts() {
    let made = composed("port:eps=0.1,alpha=0.5", Some("knn:k=7,weighting=similarity"), None);
    assert_eq!(made.label, "port:alpha=0.5,eps=0.1");
    assert_eq!(made.estimator.unwrap().name(), "knn(k=7,weighting=similarity)");
    assert!(format!("{:?}", made.policy).contains("eps: 0.1"), "{:?}", made.policy);
    let recipe = |text: &str| estimator(&spec(text)).unwrap().name();
    insta::assert_snapshot!(recipe("blend"), @"blend(ridge+knn(k=40))");
    insta::assert_snapshot!(recipe("blend:k=20,weights=equal"), @"mean(ridge+knn(k=20))");
    insta::assert_snapshot!(recipe("hybrid-predictor:k=20"), @"hybrid-predictor(k=20)");
    insta::assert_snapshot!(recipe("eccos-r:index=hnsw"), @"eccos-r(index=hnsw)");
    insta::assert_snapshot!(recipe("eccos-t"), @"eccos-t");
    insta::assert_snapshot!(recipe("ridge:lambda=3"), @"ridge(lambda=3)");
    insta::assert_snapshot!(recipe("trained:penalty=3"), @"trained(penalty=3)");
    insta::assert_snapshot!(recipe("knn:k=40,weighting=linear,index=hnsw,shrinkage=auto,cost_domain=log"), @"knn(k=40,weighting=linear,index=hnsw,shrinkage=auto,cost_domain=log)");
    insta::assert_snapshot!(recipe("knn:shrinkage=2.5,cost_domain=auto"), @"knn(k=5,shrinkage=2.5,cost_domain=auto)");
    insta::assert_snapshot!(recipe("knn:shrinkage=none,index=scan"), @"knn(k=5)");
    insta::assert_snapshot!(recipe("eagle:neighbors=40,global=0.25"), @"eagle(neighbors=40,global=0.25)");
    insta::assert_snapshot!(recipe("clusters:clusters=25,labels=100"), @"clusters(clusters=25,labels=100)");
    insta::assert_snapshot!(recipe("learned-map:penalty=0.5"), @"learned-map(penalty=0.5)");
    insta::assert_snapshot!(recipe("factors:factors=4"), @"factors(factors=4)");
    insta::assert_snapshot!(recipe("random-slopes:landmarks=64"), @"random-slopes(landmarks=64)");
    insta::assert_snapshot!(recipe("ensemble"), @"ensemble");
    assert_eq!(composed("batch-split:batch=17", None, None).policy.batch_size(), 17);
    assert_eq!(composed("batch-paced:batch=17", None, None).policy.batch_size(), 17);
    let name = |text: &str| composed(text, None, None).policy.name();
    insta::assert_snapshot!(name("fixed:model=mixtral-8x7b"), @"fixed(mixtral-8x7b)");
    insta::assert_snapshot!(name("threshold:tau=0.5,within_budget=true"), @"threshold(tau=0.5)");
    insta::assert_snapshot!(name("threshold:share=0.25"), @"threshold(share=0.25)");
    insta::assert_snapshot!(name("threshold:spend=2.5"), @"threshold(spend=2.5)");
    let surplus = composed("exp-threshold:by=surplus,lower=2,upper=50", None, None).policy;
    assert!(format!("{surplus:?}").contains("Surplus"), "{surplus:?}");
    let given = composed("port-reference:prices=[0.5, 0.25]", None, None);
    assert!(format!("{:?}", given.policy).contains("[0.5, 0.25]"), "{:?}", given.policy);
}

fn prices() -> PriceList {
    let price = TokenPrice { input: 1e-6, output: 2e-6 };
    PriceList::new([("a", price), ("b", price)]).unwrap()
}

/// A list is for the three that predict lengths, also inside another, and nothing to the rest.
#[test]
fn a_price_list_reaches_those_who_read_it() {
    let list = prices();
    let name = |text: &str| estimator_with(&spec(text), Some(&list)).unwrap().name();
    insta::assert_snapshot!(name("eccos-r:k=3"), @"eccos-r(k=3,lengths=continuous)");
    insta::assert_snapshot!(name("eccos-t:lengths=fixed-buckets"), @"eccos-t(lengths=fixed-buckets)");
    insta::assert_snapshot!(name("hybrid-predictor:lengths=quantile-buckets,buckets=5"), @"hybrid-predictor(lengths=quantile-buckets,buckets=5)");
    insta::assert_snapshot!(name("refit:of=eccos-t"), @"refit(eccos-t(lengths=continuous))");
    assert_eq!(name("auto"), estimator(&spec("auto")).unwrap().name());
    let made = compose_with(&spec("port"), Some(&spec("eccos-t")), None, Some(&list)).unwrap();
    assert_eq!(made.estimator.unwrap().name(), "eccos-t(lengths=continuous)");

    let refused = |text: &str, prices| estimator_with(&spec(text), prices).unwrap_err().to_string();
    insta::assert_snapshot!(refused("eccos-r:lengths=continuous", None), @"estimator `eccos-r`: `lengths` and `buckets` need a price list");
    insta::assert_snapshot!(refused("eccos-t:buckets=5", None), @"estimator `eccos-t`: `lengths` and `buckets` need a price list");
    insta::assert_snapshot!(refused("eccos-t:buckets=0", Some(&list)), @"estimator `eccos-t`: `buckets` must be >= 1 and <= 100, got 0");
    insta::assert_snapshot!(refused("eccos-t:lengths=long", Some(&list)), @"estimator `eccos-t`: unknown variant `long`, expected one of `continuous`, `quantile-buckets`, `fixed-buckets`");
}

/// A configuration with prices is read back from a file as it was; a price that is refused is
/// refused there too.
#[test]
fn prices_in_configuration_files() {
    let config = HybridPredictorConfig::default().prices(prices()).buckets(7);
    let text = toml::to_string(&config).unwrap();
    insta::assert_snapshot!(text, @r#"
    parts = "both"
    k = 16
    index = "scan"
    lengths = "continuous"
    buckets = 7

    [prices.a]
    input = 0.000001
    output = 0.000002

    [prices.b]
    input = 0.000001
    output = 0.000002
    "#);
    assert_eq!(toml::from_str::<HybridPredictorConfig>(&text).unwrap(), config);
    let bare = HybridPredictorConfig::default();
    assert_eq!(
        toml::from_str::<HybridPredictorConfig>(&toml::to_string(&bare).unwrap()).unwrap(),
        bare
    );
    let refused = |text: &str| {
        let error = toml::from_str::<HybridPredictorConfig>(text).unwrap_err();
        error.message().to_owned()
    };
    insta::assert_snapshot!(refused("prices.m = { input = -1.0, output = 1.0 }"), @"input price of model `m` must be finite and >= 0 USD per token, got -1");
    insta::assert_snapshot!(refused("prices.m = { input = 1.0 }"), @"missing field `output`");
}

#[test]
fn unknown_names_list_the_known() {
    insta::assert_snapshot!(refused("prot", None, None), @"no policy is called `prot`; there are random, round-robin, balance, shortest-wait, fixed, greedy-perf, greedy-cost, greedy-density, knn-perf, knn-cost, trained-perf, trained-cost, eagle, threshold, exp-threshold, batch-split, batch-paced, port-reference, port, geometric, descent, hybrid, resolve, history, history-resolve, window-resolve, explore, floor, floor-batch, tollgate");
    insta::assert_snapshot!(refused("port", Some("nearest"), None), @"no estimator is called `nearest`; there are knn, ridge, kernel-ridge, trained, eagle, clusters, learned-map, factors, random-slopes, ensemble, refit, blend, eccos-r, eccos-t, hybrid-predictor, auto");
    insta::assert_snapshot!(refused("port", None, Some("simplicissimus")), @"no solver is called `simplicissimus`; there are auto, simplex, cutting-plane, subgradient, primal-dual, smoothed-lbfgs, lagrangian, lagrangian-published");
}

#[test]
fn unknown_parameters_list_the_known() {
    insta::assert_snapshot!(refused("random:k=1", None, None), @"policy `random`: unknown field `k`, there are no fields");
    insta::assert_snapshot!(refused("greedy-perf:k=1", None, None), @"policy `greedy-perf`: unknown field `k`, there are no fields");
    insta::assert_snapshot!(refused("port:epsilon=0.1", None, None), @"policy `port`: unknown field `epsilon`, expected one of `eps`, `alpha`, `objective`, `prices`");
    insta::assert_snapshot!(refused("tollgate:evry=5", None, None), @"policy `tollgate`: unknown field `evry`, expected one of `outlook`, `schedule`, `every`, `window`, `gap`, `per_second`");
    insta::assert_snapshot!(refused("batch-split:size=5", None, None), @"policy `batch-split`: unknown field `size`, expected `batch`");
    insta::assert_snapshot!(refused("fixed:name=m", None, None), @"policy `fixed`: unknown field `name`, expected `model`");
    insta::assert_snapshot!(refused("threshold:t=1", None, None), @"policy `threshold`: unknown field `t`, expected one of `tau`, `spend`, `share`, `within_budget`");
    insta::assert_snapshot!(refused("exp-threshold:u=1", None, None), @"policy `exp-threshold`: unknown field `u`, expected one of `lower`, `upper`, `by`");
    insta::assert_snapshot!(refused("eagle:p=1", None, None), @"policy `eagle`: unknown field `p`, there are no fields");
    insta::assert_snapshot!(refused("port", Some("eagle:p=1"), None), @"estimator `eagle`: unknown field `p`, expected one of `neighbors`, `global`, `points`, `index`");
    insta::assert_snapshot!(refused("port", Some("knn:n=5"), None), @"estimator `knn`: unknown field `n`, expected one of `k`, `weighting`, `index`, `shrinkage`, `cost_domain`");
    insta::assert_snapshot!(refused("port", Some("trained:lambda=5"), None), @"estimator `trained`: unknown field `lambda`, expected `penalty`");
    insta::assert_snapshot!(refused("port", Some("ridge:k=5"), None), @"estimator `ridge`: unknown field `k`, expected `lambda`");
    insta::assert_snapshot!(refused("port", Some("blend:n=5"), None), @"estimator `blend`: unknown field `n`, expected `k` or `weights`");
    insta::assert_snapshot!(refused("port", Some("hybrid-predictor:n=5"), None), @"estimator `hybrid-predictor`: unknown field `n`, expected one of `k`, `index`, `lengths`, `buckets`");
    insta::assert_snapshot!(refused("port", Some("eccos-t:k=5"), None), @"estimator `eccos-t`: unknown field `k`, expected `lengths` or `buckets`");
    insta::assert_snapshot!(refused("port", None, Some("cutting-plane:gap=1e-3")), @"solver `cutting-plane`: unknown field `gap`, expected one of `smoothing`, `ceiling`, `vertex`");
}

#[test]
fn values_out_of_range_are_named() {
    insta::assert_snapshot!(refused("port:eps=2", None, None), @"policy `port`: `eps` must be in (0, 1], got 2");
    insta::assert_snapshot!(refused("port:eps=nan", None, None), @"policy `port`: `eps` must be in (0, 1], got NaN");
    insta::assert_snapshot!(refused("port:eps=half", None, None), @r#"policy `port`: invalid type: string "half", expected f64"#);
    insta::assert_snapshot!(refused("port-reference:alpha=0", None, None), @"policy `port-reference`: `alpha` must be finite and > 0, got 0");
    insta::assert_snapshot!(refused("port:prices=[-1.0]", None, None), @"policy `port`: `prices` must be finite and >= 0, got -1");
    insta::assert_snapshot!(refused("tollgate:every=-5", None, None), @"policy `tollgate`: invalid value: integer `-5`, expected u64");
    insta::assert_snapshot!(refused("tollgate:gap=-1.0", None, None), @"policy `tollgate`: `gap` must be finite and >= 0, got -1");
    insta::assert_snapshot!(refused("batch-split:batch=0", None, None), @"policy `batch-split`: `batch` must be >= 1, got 0");
    insta::assert_snapshot!(refused("batch-paced:batch=0", None, None), @"policy `batch-paced`: `batch` must be >= 1, got 0");
    insta::assert_snapshot!(refused("threshold:tau=2", None, None), @"policy `threshold`: `tau` must be in [0, 1], got 2");
    insta::assert_snapshot!(refused("exp-threshold:lower=2", None, None), @"policy `exp-threshold`: `lower` must be given together with `upper`, got 2");
    insta::assert_snapshot!(refused("port", Some("eagle:neighbors=0"), None), @"estimator `eagle`: `neighbors` must be >= 1, got 0");
    insta::assert_snapshot!(refused("port", Some("knn:k=0"), None), @"estimator `knn`: `k` must be >= 1, got 0");
    insta::assert_snapshot!(refused("port", Some("knn:weighting=rank"), None), @"estimator `knn`: unknown variant `rank`, expected one of `uniform`, `similarity`, `linear`");
    insta::assert_snapshot!(refused("port", Some("knn:shrinkage=-1"), None), @"estimator `knn`: `shrinkage` must be `none`, `auto`, or finite and >= 0, got -1");
    insta::assert_snapshot!(refused("port", Some("knn:shrinkage=some"), None), @"estimator `knn`: `shrinkage` is `none`, `auto` or a number of labels");
    insta::assert_snapshot!(refused("port", Some("knn:index=tree"), None), @"estimator `knn`: unknown variant `tree`, expected one of `scan`, `hnsw`, `lsh`, `hora`, `kd-tree`");
    insta::assert_snapshot!(refused("port", Some("knn:cost_domain=eur"), None), @"estimator `knn`: unknown variant `eur`, expected one of `usd`, `log`, `auto`");
    insta::assert_snapshot!(refused("port", Some("trained:penalty=0"), None), @"estimator `trained`: `penalty` must be finite and > 0, got 0");
    insta::assert_snapshot!(refused("port", Some("ridge:lambda=-1"), None), @"estimator `ridge`: `lambda` must be finite and > 0, got -1");
    insta::assert_snapshot!(refused("port", Some("blend:k=0"), None), @"estimator `blend`: `k` must be >= 1, got 0");
    insta::assert_snapshot!(refused("port", Some("eccos-r:k=0"), None), @"estimator `eccos-r`: `k` must be >= 1, got 0");
    insta::assert_snapshot!(refused("port", Some("blend:weights=best"), None), @"estimator `blend`: unknown variant `best`, expected `equal` or `learned`");
    insta::assert_snapshot!(refused("port", None, Some("cutting-plane:smoothing=1.5")), @"solver `cutting-plane`: `smoothing` must be in [0, 1), got 1.5");
}

#[test]
fn the_objective_goes_with_the_name() {
    insta::assert_snapshot!(refused("port:objective=published", None, None), @"policy `port`: `objective` goes with the name: theory is `port`, published `port-reference`");
    for (name, choice) in [("port", "Theory"), ("port-reference", "Published")] {
        let made = composed(name, None, None);
        assert!(format!("{:?}", made.policy).contains(choice), "{:?}", made.policy);
    }
}

#[test]
fn summaries_are_one_line_each() {
    for preset in POLICIES {
        let summary = preset.summary;
        assert!(!summary.is_empty() && summary.len() < 80 && !summary.contains('\n'), "{summary}");
    }
}
