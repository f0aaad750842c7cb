use super::*;

const MINIMAL: &str = "[target]\nkind = \"ising\"\nside = 4\ncoupling = 0.2\n";

/// What is wrong with an experiment or with the files that it names.
fn error_of(text: &str, changes: &[&str]) -> String {
    let changes: Vec<String> = changes.iter().map(|change| change.to_string()).collect();
    let built = Config::parse(text, &changes).and_then(|config| config.target.build(&Inputs::Files).map(|_| config));
    built.expect_err("a bad configuration").to_string()
}

#[test]
fn every_default_is_written_out_and_reads_back() {
    let config = Config::parse(MINIMAL, &[]).unwrap();
    let text = config.to_toml();
    assert_eq!(Config::parse(&text, &[]).unwrap(), config);
    for key in ["seed", "hidden", "iterations", "learning_rate", "kind", "samples", "precision"] {
        assert!(text.contains(&format!("{key} = ")), "{key} is missing in\n{text}");
    }
    // What follows the machine is not pinned to the one that the file was written on.
    assert!(!text.contains("memory_mib"), "{text}");
    let pinned = Config::parse(MINIMAL, &["engine.memory_mib=100".into()]).unwrap();
    assert!(pinned.to_toml().contains("memory_mib = 100"));
}

#[test]
fn the_budget_of_activations_follows_the_machine_unless_it_is_set() {
    let budget = |mib, available| EngineConfig { memory_mib: mib, ..EngineConfig::default() }.memory_budget(available);
    assert_eq!(budget(None, Some(2 << 30)), 512 << 20);
    assert_eq!(budget(None, Some(1 << 40)), 4096 << 20);
    assert_eq!(budget(None, Some(0)), 1 << 20);
    assert_eq!(budget(None, None), 1024 << 20);
    assert_eq!(budget(Some(7), Some(2 << 30)), 7 << 20);
}

#[test]
fn changes_set_nested_keys_of_every_type() {
    let changes = ["training.batch=512", "policy.hidden=[8, 16]", "policy.activation=tanh", "target.coupling = -0.5"];
    let config = Config::parse(MINIMAL, &changes.map(String::from)).unwrap();
    assert_eq!(config.settings.training.batch, 512);
    assert_eq!(config.settings.policy.hidden, [8, 16]);
    assert!(config.to_toml().contains("activation = \"tanh\"") && config.to_toml().contains("coupling = -0.5"));
}

#[test]
fn errors_name_the_key_the_value_and_what_is_allowed() {
    let cases: [(&str, &[&str]); 16] = [
        ("training.batch=0", &["training.batch", "0", "1 to 1048576"]),
        ("training.batch=\"many\"", &["training.batch", "many"]),
        ("training.bach=1", &["bach", "batch"]),
        ("target.side=2", &["target.side", "2", "3"]),
        ("target.sides=4", &["target", "sides", "side"]),
        ("target.coupling=\"x\"", &["target.coupling", "x"]),
        ("target.kind=\"potts\"", &["target.kind", "potts", "ising", "density"]),
        ("policy.hidden=[0]", &["policy.hidden", "[0]", "8 to 1024"]),
        ("policy.hidden=[]", &["policy.hidden", "[]", "1 to 8"]),
        ("policy.hidden=[2000]", &["policy.hidden", "2000", "8 to 1024"]),
        ("policy.activation=\"gelu\"", &["policy.activation", "gelu", "swish"]),
        ("objective={kind=\"alpha_kl\", alpha=1.5}", &["objective.alpha", "1.5", "[0, 1]"]),
        ("optimizer.learning_rate=-1", &["optimizer.learning_rate", "-1"]),
        ("evaluation.samples=10", &["evaluation.samples", "10", "4096"]),
        ("seed=-1", &["seed", "-1"]),
        ("training=3", &["training", "3"]),
    ];
    for (change, words) in cases {
        let error = error_of(MINIMAL, &[change]);
        for word in words {
            assert!(error.contains(word), "{change}: {error:?} does not say {word:?}");
        }
    }
}

#[test]
fn malformed_files_and_changes_are_refused() {
    assert!(error_of("seed = ", &[]).contains("TOML"));
    assert!(error_of("", &[]).contains("target"));
    assert!(error_of("target = 3", &[]).contains("table"));
    assert!(error_of(MINIMAL, &["training=[]"]).contains("training: expected a table, found []"));
    assert!(error_of(MINIMAL, &["policy=[[8]]"]).contains("policy: expected a table"));
    assert!(error_of(MINIMAL, &["seed"]).contains("key.path=value"));
    assert!(error_of(MINIMAL, &["=3"]).contains("not a key"));
    assert!(error_of(MINIMAL, &["target.kind.deep=3"]).contains("not a table"));
    let missing = Config::read(Path::new("/nowhere/at/all.toml"), &[]).expect_err("no such file").to_string();
    assert!(missing.contains("/nowhere/at/all.toml"));
}

#[test]
fn a_list_in_place_of_a_number_is_not_asked_to_be_a_table() {
    for change in ["seed=[1]", "training.batch=[1]"] {
        let error = error_of(MINIMAL, &[change]);
        assert!(error.contains("invalid type") && !error.contains("table"), "{change}: {error}");
    }
    let error = error_of(MINIMAL, &["sead=[1]"]);
    assert!(error.contains("sead") && error.contains("seed") && !error.contains("table"), "{error}");
}

#[test]
fn what_is_quoted_leaves_room_for_what_is_said_of_it() {
    let digits = "9".repeat(5000);
    let list = vec!["1"; 3000].join(", ");
    let changes = [
        format!("seed={digits}"),
        format!("training.batch='{digits}'"),
        format!("policy=[{list}]"),
        format!("target=[{list}]"),
        format!("policy.hidden=[{list}]"),
        format!("training.{digits}=3"),
        format!("{digits}.=3"),
        format!("target.kind='{digits}'"),
        format!("target.kind.{digits}=3"),
        format!("target={{kind='density', mode='{digits}'}}"),
    ];
    let said = changes.iter().map(|change| error_of(MINIMAL, &[change]));
    let lines =
        [format!("seed = {digits}"), format!("seed = '{digits}"), format!("seed = 1 {digits}"), format!("{digits} 1")];
    let said: Vec<String> = said.chain(lines.iter().map(|line| error_of(line, &[]))).collect();
    assert_eq!(said.len(), changes.len() + lines.len());
    for said in said {
        assert!(said.chars().count() < 800, "{} characters: {}", said.chars().count(), &said[..800]);
    }
    assert!(error_of(&format!("seed = 1\n{digits} 1"), &[]).contains("line 2, column"), "the place is said");
    // The beginning and the end are there, cut between characters.
    let error = error_of(MINIMAL, &[&format!("target.kind='{}'", "\u{e9}".repeat(5000))]);
    assert!(error.contains("\u{e9}\u{e9} [") && error.contains("characters] \u{e9}\u{e9}"), "{error}");
}

#[test]
fn a_function_of_the_caller_s_has_sizes_and_is_not_built_from_a_file() {
    let own = "[target]\nkind = \"own\"\nsites = 9\nvalues = 2\n";
    let config = Config::parse(own, &[]).unwrap();
    assert_eq!(Config::parse(&config.to_toml(), &[]).unwrap(), config);
    let cases: [(&[&str], &[&str]); 5] = [
        (&[], &["target.kind", "own", "target=..."]),
        (&["target.sites=0"], &["target.sites = 0", "1 to 16777215"]),
        (&["target.values=1"], &["target.values = 1", "2 to 256"]),
        (&["target.values=257"], &["target.values = 257", "2 to 256"]),
        (&["target.side=3"], &["target", "side", "sites"]),
    ];
    for (changes, words) in cases {
        let error = error_of(own, changes);
        assert!(words.iter().all(|word| error.contains(word)), "{changes:?}: {error}");
    }
}

const DENSITY: &str = "[target]\nkind = \"density\"\nmode = \"joint\"\ndata = \"2spirals\"\n";

#[test]
fn a_density_has_the_paper_s_defaults_and_reads_back() {
    let config = Config::parse(DENSITY, &[]).unwrap();
    let text = config.to_toml();
    assert_eq!(Config::parse(&text, &[]).unwrap(), config);
    let lines = [
        "mode = \"joint\"",
        "bits = 32",
        "acceptance = \"barker\"",
        "horizon = 100000",
        "energy_learning_rate = 0.001",
    ];
    for line in lines {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let TargetConfig::Density(DensityConfig::Joint(joint)) = &config.target else { panic!("{:?}", config.target) };
    assert_eq!((&joint.hidden[..], &joint.energy), (&[256; 3][..], &None));
    let data = Config::parse(DENSITY, &["target.mode=data".into()]).unwrap();
    assert_eq!(Config::parse(&data.to_toml(), &[]).unwrap(), data);
}

#[test]
fn bad_densities_are_refused_by_key() {
    let cases: [(&[&str], &[&str]); 15] = [
        (&["target.data=rings"], &["target.data", "rings", "2spirals", "checkerboard"]),
        (&["target.bits=15"], &["target.bits", "15", "odd"]),
        (&["target.bits=34"], &["target.bits", "34", "8 to 32"]),
        (&["target.bits=6"], &["target.bits", "6", "8 to 32"]),
        (&["target.bits=-2"], &["target.bits", "-2"]),
        (&["target.mode=learned"], &["target.mode", "learned", "fixed", "joint", "data"]),
        (&["target.mode=3"], &["target.mode", "3", "joint"]),
        (&["target.hidden=[]"], &["target.hidden", "[]", "1 to 8"]),
        (&["target.hidden=[0]"], &["target.hidden", "[0]", "1 to 1024"]),
        (&["target.acceptance=always"], &["target.acceptance", "always", "metropolis"]),
        (&["target.horizon=0"], &["target.horizon", "0", "1 to 2147483647"]),
        (&["target.energy_learning_rate=-1"], &["target.energy_learning_rate", "-1", "positive"]),
        (&["target.mode=data", "target.hidden=[8]"], &["target", "hidden", "unknown"]),
        (&["target.mode=fixed"], &["target", "energy", "missing"]),
        (
            &["target.energy=/nowhere/energy.safetensors"],
            &["target.energy", "/nowhere/energy.safetensors", "cannot read"],
        ),
    ];
    for (changes, words) in cases {
        let error = error_of(DENSITY, changes);
        for word in words {
            assert!(error.contains(word), "{changes:?}: {error:?} does not say {word:?}");
        }
    }
    let missing = error_of("[target]\nkind = \"density\"\ndata = \"moons\"\n", &[]);
    assert!(missing.contains("target.mode is missing"), "{missing}");
}

#[test]
fn energy_files_that_do_not_fit_are_refused_by_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("energy.safetensors");
    let layout = crate::targets::energy_model::layout(8, &[4]);
    crate::targets::energy_model::save(&path, &layout, &vec![0.5; layout.parameters()]);
    let energy = format!("target.energy={}", path.display());
    let small = ["target.bits=8", "target.hidden=[4]", &energy];
    for mode in ["target.mode=fixed", "target.mode=joint"] {
        let changes: Vec<String> = small.iter().chain(&[mode]).map(|change| change.to_string()).collect();
        Config::parse(DENSITY, &changes).and_then(|config| config.target.build(&Inputs::Files)).unwrap();
        let wide = error_of(DENSITY, &[mode, "target.bits=10", "target.hidden=[4]", &energy]);
        assert!(
            wide.contains("target.energy") && wide.contains("`energy.0.weight`") && wide.contains("[4, 10]"),
            "{wide}"
        );
    }
    let whole = std::fs::read(&path).unwrap();
    for end in [0, 7, whole.len() - 1] {
        std::fs::write(&path, &whole[..end]).unwrap();
        let error = error_of(DENSITY, &[&["target.mode=fixed"], &small[..]].concat());
        assert!(error.contains("target.energy") && error.contains("well-formed"), "{error}");
    }
}

/// Experiments that between them have every table and every key.
fn whole_experiments() -> Vec<Config> {
    let objectives = [
        "kind = 'reverse_kl'",
        "kind = 'reverse_kl', control_variate = 'none'",
        "kind = 'reverse_kl', control_variate = 'learned'",
        "kind = 'forward_kl'",
        "kind = 'snis_forward_kl'",
        "kind = 'alpha_kl', alpha = 0.25",
        "kind = 'trajectory_balance'",
        "kind = 'alpha_tb', alpha = 'paper'",
        "kind = 'log_variance'",
        "kind = 'regression', loss = 'huber'",
        "kind = 'regression', loss = 'linex'",
        "kind = 'renyi', divergence_order = 2",
        "kind = 'tsallis', divergence_order = 0.5, log_reward_floor = -20",
    ];
    let of_objective =
        objectives.map(|objective| format!("{MINIMAL}\n[objective]\n{}\n", objective.replace(", ", "\n")));
    let of_target = [MINIMAL.to_string(), DENSITY.into(), DENSITY.replace("joint", "data")];
    of_objective.into_iter().chain(of_target).map(|text| Config::parse(&text, &[]).unwrap()).collect()
}

/// A default may not depend on whether the table is there, nor on which of its other defaults are spelled out.
#[test]
fn a_table_that_is_absent_one_that_is_empty_and_one_with_a_default_in_it_are_the_same() {
    let minimal = Config::parse(MINIMAL, &[]).unwrap();
    let mut checked = 0;
    for (name, value) in minimal.to_table() {
        let Value::Table(whole) = value else { continue };
        if name == "target" {
            continue;
        }
        assert!(!whole.is_empty(), "{name} has keys");
        let with = |table: Table| {
            let mut experiment = Config::table(MINIMAL, &[], Path::new("")).unwrap();
            experiment.insert(name.clone(), Value::Table(table));
            Config::from_table(experiment).unwrap()
        };
        assert_eq!(with(Table::new()), minimal, "{name} is empty");
        assert_eq!(with(whole.clone()), minimal, "{name} is whole");
        for (key, value) in whole {
            assert_eq!(with(Table::from_iter([(key.clone(), value)])), minimal, "{name}.{key} is named");
            checked += 1;
        }
    }
    assert!(checked > 25, "{checked} keys");
}

#[test]
fn a_key_that_may_be_left_out_has_the_value_that_is_written_out() {
    let mut optional = std::collections::BTreeSet::new();
    for config in whole_experiments() {
        let written = config.to_table();
        assert_eq!(Config::from_table(written.clone()).unwrap(), config);
        for (name, value) in &written {
            let Value::Table(whole) = value else { continue };
            for key in whole.keys().filter(|key| !["kind", "mode"].contains(&key.as_str())) {
                let mut shorter = whole.clone();
                let removed = shorter.remove(key);
                let mut experiment = written.clone();
                experiment.insert(name.clone(), Value::Table(shorter));
                // What has no default is missed; what is not at its default is another experiment.
                let Ok(found) = Config::from_table(experiment) else { continue };
                let default = found.to_table()[name].get(key).cloned();
                assert_eq!(found == config, default == removed, "{name}.{key} of {written}");
                if default == removed {
                    optional.insert(format!("{name}.{key}"));
                }
            }
        }
    }
    for key in [
        "objective.control_variate",
        "objective.alpha",
        "objective.delta",
        "objective.scale",
        "objective.log_z_start",
        "target.bits",
        "target.horizon",
        "policy.order",
        "optimizer.schedule",
        "evaluation.samples",
        "engine.precision",
    ] {
        assert!(optional.contains(key), "{key} is not among {optional:?}");
    }
}

#[test]
fn naming_the_default_objective_leaves_its_control_variate() {
    let leave_one_out = |config: &Config| config.to_toml().contains("control_variate = \"leave_one_out\"");
    let named = Config::parse(MINIMAL, &["objective.kind=reverse_kl".into()]).unwrap();
    assert_eq!(named, Config::parse(MINIMAL, &[]).unwrap());
    assert!(leave_one_out(&named));
    let other = Config::parse(MINIMAL, &["objective.kind=trajectory_balance".into()]).unwrap();
    assert!(!other.to_toml().contains("control_variate"));
    // Without it, as suites write it to take back what their base sets.
    let none = ["objective.kind=trajectory_balance".into(), "objective.control_variate=none".into()];
    assert_eq!(Config::parse(MINIMAL, &none).unwrap(), other);
}
