use super::*;
use crate::compare::assert_close;

const TEXT: &str = "sequence,reward\nAC,2\nCA,0.5\nCC,0\nTA,4\n";

fn parse(text: &str, options: &Options) -> Table {
    Table::parse("t.csv", text, options).unwrap_or_else(|error| panic!("{error}"))
}

fn log_rewards(target: &Table) -> Vec<f64> {
    let all = Objects::numbered(target.sites(), target.values(), 0..target.values().pow(target.sites() as u32));
    let mut log_reward = vec![f64::NAN; all.count()];
    target.log_reward(&all, &mut log_reward);
    log_reward
}

#[test]
fn rewards_are_those_of_the_file() {
    let table = parse(TEXT, &Options::default());
    assert_eq!((table.count(), table.sites(), table.values()), (4, 2, 3));
    // Number = first + 3 second: AA CA TA AC CC TC AT CT TT.
    let none = f64::NEG_INFINITY;
    let (two, four) = (2_f64.ln(), 4_f64.ln());
    assert_eq!(log_rewards(&table), [none, 0.5_f64.ln(), four, two, none, none, none, none, none]);
    assert_close(&[table.log_z().unwrap()], &[6.5_f64.ln()], 1e-15, "log Z");
    assert!(table.forbids().is_some());
    let marginals = table.marginals().unwrap();
    assert_close(&marginals.concat(), &[2.0, 0.5, 4.0, 4.5, 2.0, 0.0].map(|r| r / 6.5), 1e-15, "marginals");
    let labels = table.labels().unwrap();
    assert_eq!([0, 1, 2].map(|value| labels.value(value)), ["A", "C", "T"]);
    assert_eq!(table.measure(0.5_f64.ln()).unwrap(), ("reward", 0.5));

    // TT AT CT TA AA CA TC AC CC.
    let options = Options { beta: 2.0, default: Some(0.25), alphabet: Some("TAC".into()), ..Options::default() };
    let table = parse(&format!("\u{feff}{}", TEXT.replace('\n', "\r\n")), &options);
    let rest = 2.0 * 0.25_f64.ln();
    assert_eq!(log_rewards(&table), [rest, rest, rest, 2.0 * four, rest, 2.0 * 0.5_f64.ln(), rest, 2.0 * two, none]);
    assert_close(&[table.log_z().unwrap()], &[(4.0_f64 + 0.25 + 16.0 + 5.0 / 16.0).ln()], 1e-15, "log Z");
    assert!(table.sampler(0, 8).is_err() && table.marginals().is_err());

    let options = Options { transform: Transform::Linear, beta: 0.5, default: Some(-3.0), ..Options::default() };
    let table = parse(TEXT, &options);
    assert_eq!(log_rewards(&table), [-1.5, 0.25, 2.0, 1.0, 0.0, -1.5, -1.5, -1.5, -1.5]);
    assert_eq!((table.forbids(), table.measure(-1.5)), (None, Some(("reward", -3.0))));
}

#[test]
fn samples_are_of_the_table_and_as_frequent_as_their_rewards() {
    let table = parse(TEXT, &Options::default());
    let mut sampler = table.sampler(0, 13_000).unwrap();
    let samples = sampler.sample(&Draw::new(1, 0, Stream::TargetSampler));
    let count = |row: [u8; 2]| samples.rows().filter(|sample| *sample == row).count();
    // Of 13,000: 4000, 1000, none and 8000, with deviations of 53, 30 and 55.
    for (row, expected, deviation) in [([0, 1], 4000, 53), ([1, 0], 1000, 30), ([1, 1], 0, 0), ([2, 0], 8000, 55)] {
        assert!(count(row).abs_diff(expected) <= 4 * deviation, "{row:?}: {}", count(row));
    }
    assert!(sampler.restore(&[1]).is_err() && sampler.state().is_empty());
}

#[test]
fn a_complete_table_forbids_nothing_and_tests_are_on_what_is_allowed() {
    let complete = "sequence,reward\n0,1\n1,3\n";
    let table = parse(complete, &Options::default());
    assert_eq!(table.forbids(), None);
    assert_close(&[table.log_z().unwrap()], &[4_f64.ln()], 1e-15, "log Z");
    let with_default = parse(complete, &Options { default: Some(7.0), ..Options::default() });
    assert_eq!(with_default.log_z().unwrap(), table.log_z().unwrap(), "nothing takes the default");
    assert!(with_default.sampler(0, 1).is_ok());
    let tested = parse(TEXT, &Options::default()).test_objects().unwrap();
    assert_eq!(tested.count(), 3);
    assert!(tested.rows().all(|row| row != [1, 1]));
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    let cases = [
        (TEXT.replace("sequence,", "seq,"), 1, "the heading `sequence,reward`"),
        (TEXT.replace("CA,0.5", "CA"), 3, "expected `sequence,reward`"),
        (TEXT.replace("CA,0.5", "CA,0.5,1"), 3, "expected `sequence,reward`"),
        (TEXT.replace("CA,0.5", "CAC,0.5"), 3, "3 letters: that of line 2 has 2"),
        (TEXT.replace("CA,0.5", ",0.5"), 3, "visible ASCII"),
        (TEXT.replace("CA,0.5", "C\u{e9},0.5"), 3, "visible ASCII"),
        (TEXT.replace("CA,0.5", "CA,x"), 3, "must be a number"),
        (TEXT.replace("CA,0.5", "CA,nan"), 3, "finite"),
        (TEXT.replace("CA,0.5", "CA,-1"), 3, "must not be negative"),
        (TEXT.replace("TA,4", "CA,4"), 5, "given twice (also in line 3)"),
    ];
    for (text, line, words) in cases {
        let message = Table::parse("t.csv", &text, &Options::default()).unwrap_err().to_string();
        assert!(message.starts_with(&format!("t.csv, line {line}: ")) && message.contains(words), "{words}: {message}");
    }
    let strict = Options { alphabet: Some("AC".into()), ..Options::default() };
    let message = Table::parse("t.csv", TEXT, &strict).unwrap_err().to_string();
    assert!(message.contains("line 5") && message.contains("\"TA\" is not in the alphabet"), "{message}");
    let large = Options { transform: Transform::Linear, beta: 1e308, ..Options::default() };
    assert!(Table::parse("t.csv", TEXT, &large).unwrap_err().to_string().contains("line 2: the reward is 2"));
    for (text, words) in [
        ("", "it is empty"),
        ("sequence,reward\n", "no sequences"),
        ("sequence,reward\nAA,1\n", "target.alphabet"),
        ("sequence,reward\nAB,0\n", "all its rewards are 0"),
    ] {
        let message = Table::parse("t.csv", text, &Options::default()).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    for (options, words) in [
        (Options { beta: 0.0, ..Options::default() }, "beta = 0"),
        (Options { alphabet: Some("A".into()), ..Options::default() }, "alphabet = \"A\""),
        (Options { alphabet: Some("ABA".into()), ..Options::default() }, "different"),
        (Options { alphabet: Some("A,".into()), ..Options::default() }, "comma"),
        (Options { default: Some(-1.0), ..Options::default() }, "default = -1"),
        (Options { default: Some(f64::NAN), ..Options::default() }, "default = NaN"),
    ] {
        assert!(options.check().unwrap_err().to_string().contains(words), "{words}");
    }
}
