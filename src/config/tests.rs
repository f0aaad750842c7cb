use super::*;

const MINIMAL: &str = "[target]\nkind = \"ising\"\nside = 4\ncoupling = 0.2\n";

fn error_of(text: &str, changes: &[&str]) -> String {
    let changes: Vec<String> = changes.iter().map(|change| change.to_string()).collect();
    Config::parse(text, &changes).expect_err("a bad configuration").to_string()
}

#[test]
fn every_default_is_written_out_and_reads_back() {
    let config = Config::parse(MINIMAL, &[]).unwrap();
    let text = config.to_toml();
    assert_eq!(Config::parse(&text, &[]).unwrap(), config);
    for key in ["seed", "hidden", "iterations", "learning_rate", "kind", "samples", "memory_mib"] {
        assert!(text.contains(&format!("{key} = ")), "{key} is missing in\n{text}");
    }
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
        ("target.kind=\"potts\"", &["target.kind", "potts", "ising"]),
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
    assert!(error_of(MINIMAL, &["seed"]).contains("key.path=value"));
    assert!(error_of(MINIMAL, &["=3"]).contains("not a key"));
    assert!(error_of(MINIMAL, &["target.kind.deep=3"]).contains("not a table"));
    let missing = Config::read(Path::new("/nowhere/at/all.toml"), &[]).expect_err("no such file").to_string();
    assert!(missing.contains("/nowhere/at/all.toml"));
}
