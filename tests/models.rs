//! Models from files: what each format means, what is refused and how, and that no text whatever makes a reader panic or take more
//! memory than it justifies.

mod common;
#[path = "common/counting.rs"]
mod counting;

use std::path::Path;

use common::compare::assert_close;
use common::mutated::mutated;
use counting::most_held;
use rand::RngExt;
use wgflow::models::{FactorGraph, Format, parse, parse_evidence, read};
use wgflow::process::Objects;
use wgflow::random::{Draw, Stream};

const UAI: &str = "MARKOV\n2\n2 3\n2\n1 0\n2 0 1\n2  1.0 2.5\n6  1 0.5 2  3 1 0\n";
const BAYES: &str =
    "c a chain\nBAYES\n3\n2 2 2\n3\n1 0\n2 0 1\n2 1 2\n2\n 0.25 0.75\n4\n 0.5 0.5\n 1 0\n4\n 0.1 0.9 0.2 0.8\n";
const LG: &str = "MARKOV\r\n2\r\n2 2\r\n2\r\n0\r\n2 1 0\r\n1 0.5\r\n4 -inf 1 -1.5D+0 0.25\r\n";
const SG: &str = "# a triangle\n3 3\n1 2 1\n2 3 -1\n1 3 0.5\n";
const SERVER: &str = "type: ising\nsize: 3\nname: triangle\n1 2 1\n2 3 -1\n1 3 0.5\n";
const CUT: &str = "4 4\n1 2 3\n2 3\n3 4 -1\n1 4 0.5\n";
const QUBO: &str = "c small\np qubo 0 3 2 2\n0 0 -1\n2 2 0.5\n0 1 2\n1 2 -1.5\n";
const COO: &str = "# vartype=BINARY\n0 0 -1\n2 2 0.5\n0 1 2\n1 2 -1.5\n";
const DIMOD: &str = r#"{"type": "BinaryQuadraticModel", "version": {"bqm_schema": "3.0.0"}, "use_bytes": false,
  "variable_labels": ["a", "b", 7], "variable_type": "BINARY", "offset": 0.0, "linear_biases": [-1.0, 0.0, 0.5],
  "quadratic_biases": [2.0, -1.5], "quadratic_head": [0, 1], "quadratic_tail": [1, 2], "info": {}}"#;
const BQP: &str = r#"{"version": "1.0.0", "id": 3, "metadata": {}, "variable_ids": [4, 8, 15], "variable_domain": "boolean",
  "scale": 2.0, "offset": 0.0, "linear_terms": [{"id": 4, "coeff": -0.5}, {"id": 15, "coeff": 0.25}],
  "quadratic_terms": [{"id_tail": 4, "id_head": 8, "coeff": 1.0}, {"id_tail": 8, "id_head": 15, "coeff": -0.75}]}"#;
const POTTS: &str = "J 0 1 A C 0.5\nJ 0 1 - - -1\nJ 1 2 Y Y 2\nh 0 A 0.25\nh 2 Y -0.5\n";

/// Three sites; fields 0.01 (i + 1) (a + 1), and couplings 0.001 (a - b) of the sites 0 and 2.
fn ccmpred() -> String {
    let row = |numbers: Vec<f64>| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join("\t") + "\n";
    let mut text = String::new();
    for i in 1..=3 {
        text += &row((1..=20).map(|a| 0.01 * f64::from(i * a)).collect());
    }
    text += "#>META> {\"version\": \"1\"}\n# 0 2\n";
    for a in 0..21 {
        text += &row((0..21).map(|b| 0.001 * f64::from(a - b)).collect());
    }
    text
}

/// A small file of every format that is a text, in the order of [`Format::ALL`], which has the other one last.
fn files() -> Vec<(Format, String)> {
    let texts = [UAI, LG, SG, SERVER, CUT, QUBO, COO, DIMOD, BQP, POTTS, &ccmpred()].map(str::to_owned);
    Format::ALL.into_iter().zip(texts).collect()
}

fn graph(format: Format, text: &str) -> FactorGraph {
    parse("model", text, Some(format), 1.0).unwrap_or_else(|error| panic!("{error}"))
}

/// log R of every object of two-valued variables.
fn log_rewards(graph: &FactorGraph) -> Vec<f64> {
    let sites = graph.variables();
    Objects::numbered(sites, 2, 0..1 << sites).rows().map(|object| graph.log_reward(object)).collect()
}

fn of_all(sites: usize, log_reward: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let all = Objects::numbered(sites, 2, 0..1 << sites);
    all.rows().map(|object| log_reward(&object.iter().map(|&value| f64::from(value)).collect::<Vec<_>>())).collect()
}

#[test]
fn factor_graphs_have_the_entries_of_their_file() {
    let found = graph(Format::Uai, UAI);
    assert_eq!((found.variables(), found.cardinality(0), found.cardinality(1)), (2, 2, 3));
    let table = [[1.0, 0.5, 2.0], [3.0, 1.0, 0.0]];
    for (a, row) in table.iter().enumerate() {
        for (b, entry) in row.iter().enumerate() {
            let expected: f64 = [1.0_f64, 2.5][a].ln() + f64::ln(*entry);
            assert_eq!(found.log_reward(&[a as u8, b as u8]), expected);
        }
    }
    assert_eq!(found.log_reward(&[0, 3]), f64::NEG_INFINITY, "no such value");
    // P(x0) P(x1 | x0) P(x2 | x1), which adds up to 1.
    let chain = graph(Format::Uai, BAYES);
    let expected = |x: &[f64]| {
        let first = if x[0] == 0.0 { 0.25 } else { 0.75 };
        let second = [[0.5, 0.5], [1.0, 0.0]][x[0] as usize][x[1] as usize];
        let third = [[0.1, 0.9], [0.2, 0.8]][x[1] as usize][x[2] as usize];
        first * second * third
    };
    let found: Vec<f64> = log_rewards(&chain).iter().map(|log| log.exp()).collect();
    assert_close(&found, &of_all(3, expected), 1e-15, "a chain of conditional probabilities");
    // Logarithms; the scope is (1, 0), so that the value of variable 0 runs fastest.
    let logs = graph(Format::UaiLog, LG);
    assert_eq!(log_rewards(&logs), [f64::NEG_INFINITY, 1.5, -1.0, 0.75]);
    let half = parse("m.LG", LG, None, 0.5).unwrap();
    assert_eq!(log_rewards(&half), [f64::NEG_INFINITY, 0.75, -0.5, 0.375]);
}

#[test]
fn pairwise_models_have_the_sign_of_their_format() {
    let spins = |x: &[f64]| x.iter().map(|value| 2.0 * value - 1.0).collect::<Vec<_>>();
    let triangle = of_all(3, |x| {
        let s = spins(x);
        s[0] * s[1] - s[1] * s[2] + 0.5 * s[0] * s[2]
    });
    for (format, text) in [(Format::SpinGlass, SG), (Format::SpinGlassServer, SERVER)] {
        let found = graph(format, text);
        assert_eq!(log_rewards(&found), triangle, "{format:?}");
        assert_eq!(found.measure(1.5), Some(("energy", -1.5)));
        assert_eq!((found.labels().variable(0).as_ref(), found.labels().value(0).as_ref()), ("1", "-1"));
    }
    let cut = graph(Format::MaxCut, CUT);
    let differ = |x: &[f64], a: usize, b: usize| (x[a] - x[b]).abs();
    let expected = of_all(4, |x| 3.0 * differ(x, 0, 1) + differ(x, 1, 2) - differ(x, 2, 3) + 0.5 * differ(x, 0, 3));
    assert_eq!(log_rewards(&cut), expected);
    let hot = parse("m.gset", CUT, None, 0.25).unwrap();
    assert_eq!((hot.log_reward(&[0, 1, 0, 0]), hot.measure(1.0)), (1.0, Some(("cut", 4.0))));

    let quadratic = of_all(3, |x| -(-x[0] + 0.5 * x[2] + 2.0 * x[0] * x[1] - 1.5 * x[1] * x[2]));
    let binary = [(Format::Qubo, QUBO), (Format::DimodCoo, COO), (Format::DimodJson, DIMOD), (Format::Bqpjson, BQP)];
    for (format, text) in binary {
        assert_eq!(log_rewards(&graph(format, text)), quadratic, "{format:?}");
        // The same model is the same to the bit, whatever it was written as.
        let cold = |format, text| log_rewards(&parse("m", text, Some(format), 0.3).unwrap());
        assert_eq!(cold(format, text), cold(Format::Qubo, QUBO), "{format:?}");
    }
    let named = graph(Format::DimodJson, DIMOD);
    assert_eq!([0, 1, 2].map(|variable| named.labels().variable(variable).into_owned()), ["a", "b", "7"]);
    // Spins with fields and an offset; what is given twice adds up in dimod's.
    let coo = graph(Format::DimodCoo, "# vartype=SPIN\n5 5 0.5\n5 9 1\n9 5 0.25\n9 9 -1\n");
    let expected = of_all(2, |x| {
        let s = spins(x);
        -(0.5 * s[0] - s[1] + 1.25 * s[0] * s[1])
    });
    assert_eq!(log_rewards(&coo), expected);
    let json = BQP.replace("boolean", "spin").replace("\"offset\": 0.0", "\"offset\": 1.5");
    let expected = of_all(3, |x| {
        let s = spins(x);
        -2.0 * (1.5 - 0.5 * s[0] + 0.25 * s[2] + s[0] * s[1] - 0.75 * s[1] * s[2])
    });
    assert_close(&log_rewards(&graph(Format::Bqpjson, &json)), &expected, 1e-15, "bqpjson");
}

#[test]
fn potts_models_have_the_letters_of_their_format() {
    let found = graph(Format::Adabmdca, POTTS);
    let at = |letters: &str| {
        let alphabet = "-ACDEFGHIKLMNPQRSTVWY";
        let object: Vec<u8> = letters.chars().map(|letter| alphabet.find(letter).unwrap() as u8).collect();
        found.log_reward(&object)
    };
    assert_eq!([at("AC-"), at("---"), at("AYY"), at("GGG")], [0.75, -1.0, 0.25 + 2.0 - 0.5, 0.0]);
    assert_eq!((found.variables(), found.labels().value(20).as_ref()), (3, "Y"));
    let found = graph(Format::Ccmpred, &ccmpred());
    let field = |i: usize, a: usize| if a == 20 { 0.0 } else { 0.01 * ((i + 1) * (a + 1)) as f64 };
    for object in [[0_u8, 0, 0], [3, 20, 7], [20, 4, 19]] {
        let [a, b, c] = object.map(usize::from);
        let expected = field(0, a) + field(1, b) + field(2, c) + 0.001 * (a as f64 - c as f64);
        assert_close(&[found.log_reward(&object)], &[expected], 1e-15, "CCMpred");
    }
    assert_eq!(found.labels().value(20), "-");
}

#[test]
fn formats_are_told_by_suffix_or_content() {
    for (format, text) in files() {
        let told = parse("model.txt", &text, None, 1.0);
        let ambiguous = [Format::UaiLog, Format::SpinGlass, Format::MaxCut].contains(&format);
        match told {
            // Logarithms look like factors but for their suffix.
            Err(error) if ambiguous => {
                assert!(error.to_string().contains("model.txt"), "{error}");
            }
            told => assert_eq!(told.unwrap(), graph(format, &text), "{format:?}"),
        }
        assert_eq!(format.name().parse(), Ok(format));
    }
    for (name, format, text) in
        [("a.LG", Format::UaiLog, LG), ("a.gsg", Format::SpinGlass, SG), ("a.rudy", Format::MaxCut, CUT)]
    {
        assert_eq!(parse(name, text, None, 1.0).unwrap(), graph(format, text));
    }
    let bom = format!("\u{feff}{}", UAI.replace('\n', " \r\n"));
    assert_eq!(parse("a.uai", &bom, None, 1.0).unwrap(), graph(Format::Uai, UAI));
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    let cases: Vec<(Format, String, usize, &str)> = vec![
        (Format::Uai, UAI.replace("MARKOV", "MARKOW"), 1, "MARKOW"),
        (Format::Uai, UAI.replace("2 3", "2 257"), 3, "1 to 256"),
        (Format::Uai, UAI.replace("2 3", "2 0"), 3, "1 to 256"),
        (Format::Uai, UAI.replace("2 0 1", "2 0 2"), 6, "0 to 1"),
        (Format::Uai, UAI.replace("2 0 1", "2 1 1"), 6, "twice in one scope"),
        (Format::Uai, UAI.replace("6  1", "5  1"), 8, "it must be 6 to 6"),
        (Format::Uai, UAI.replace("2.5", "-2.5"), 7, "must not be negative"),
        (Format::Uai, UAI.replace("2.5", "nan"), 7, "finite"),
        (Format::Uai, UAI.replace("2.5", "1e999"), 7, "finite"),
        (Format::Uai, UAI.replace("2.5", "x"), 7, "must be a number"),
        (Format::Uai, UAI.replace("3 1 0", "3 1"), 8, "the file ends"),
        (Format::Uai, format!("{UAI} 7"), 9, "follows where the file should end"),
        (Format::Uai, "MARKOV\n4000000000\n".into(), 2, "the number of variables"),
        (Format::UaiLog, LG.replace("-inf", "inf"), 8, "finite"),
        (Format::SpinGlass, SG.replace("2 3 -1", "2 4 -1"), 4, "1 to 3"),
        (Format::SpinGlass, SG.replace("2 3 -1", "0 3 -1"), 4, "1 to 3"),
        (Format::SpinGlass, SG.replace("2 3 -1", "2 1 -1"), 4, "given twice (also in line 3)"),
        (Format::SpinGlass, SG.replace("2 3 -1", "2 2 -1"), 4, "both are the same"),
        (Format::SpinGlass, SG.replace("1 3 0.5", ""), 5, "the file ends"),
        (Format::SpinGlassServer, SERVER.replace("size: 3\n", ""), 3, "`size:`"),
        (Format::MaxCut, CUT.replace("4 4", "4 3"), 5, "more lines than the 3 edges"),
        (Format::MaxCut, CUT.replace("4 4", "4 5"), 5, "ends before all of its 5 edges"),
        (Format::MaxCut, CUT.replace("1 2 3", "1 2 3 4"), 2, "a b w"),
        (Format::Qubo, QUBO.replace("0 1 2", "1 0 2"), 5, "i < j"),
        (Format::Qubo, QUBO.replace("qubo 0 3 2 2", "qubo 0 3 2 3"), 6, "1 lines `i j w` missing"),
        (Format::Qubo, QUBO.replace("2 2 0.5", "0 0 0.5"), 4, "given twice"),
        (Format::Qubo, QUBO.replace("p qubo", "p cnf"), 2, "p qubo 0 max nN nC"),
        (Format::DimodCoo, COO.replace("BINARY", "TERNARY"), 1, "SPIN or BINARY"),
        (Format::DimodCoo, COO.replace("1 2 -1.5", "1 2"), 5, "u v bias"),
        (Format::DimodJson, DIMOD.replace("2.0, -1.5]", "2.0, -1.5"), 3, "expected"),
        (Format::DimodJson, DIMOD.replace("0.0, 0.5]", "0.0, \"x\"]"), 2, "invalid type"),
        (Format::Bqpjson, BQP.replace("\"scale\": 2.0", "\"scale\": 2e999"), 2, "number out of range"),
        (Format::Adabmdca, POTTS.replace("J 0 1 A C", "J 1 0 A C"), 1, "the first must be the smaller"),
        (Format::Adabmdca, POTTS.replace("A C 0.5", "A B 0.5"), 1, "none of the letters"),
        (Format::Adabmdca, POTTS.replace("h 2 Y", "h 0 A"), 5, "given twice"),
        (Format::Adabmdca, POTTS.replace("J 1 2", "K 1 2"), 3, "it must be `J` or `h`"),
        (Format::Adabmdca, POTTS.replace("J 1 2", "J 1 4000000"), 3, "a site"),
        (Format::Ccmpred, ccmpred().replace("# 0 2", "# 0 3"), 5, "0 to 2"),
        (Format::Ccmpred, ccmpred().trim_end().rsplit_once('\n').unwrap().0.into(), 25, "ends in the couplings"),
    ];
    let count = cases.len();
    for (format, text, line, words) in cases {
        let error = parse("some.file", &text, Some(format), 1.0).expect_err(&text);
        let message = error.to_string();
        assert!(message.starts_with(&format!("some.file, line {line}: ")), "{words}: {message}");
        assert!(message.contains(words), "{words}: {message}");
    }
    // JSON of the right form has no line for what it says.
    let whole = [
        (Format::DimodJson, DIMOD.replace("\"quadratic_head\": [0, 1]", "\"quadratic_head\": [0, 3]"), "below 3"),
        (Format::DimodJson, DIMOD.replace("[2.0, -1.5]", "[2.0]"), "2 entries, where 1"),
        (Format::DimodJson, DIMOD.replace("\"b\"", "\"a\""), "both called"),
        (Format::Bqpjson, BQP.replace("\"id_head\": 8", "\"id_head\": 9"), "variable 9"),
        (Format::Bqpjson, BQP.replace("\"id\": 15", "\"id\": 4"), "given twice"),
        (Format::DimodCoo, COO.replace("# vartype=BINARY\n", ""), "# vartype=SPIN"),
        (Format::Uai, UAI.replace("2.5", "1e308"), ""),
    ];
    for (format, text, words) in whole {
        match parse("some.file", &text, Some(format), 1.0) {
            Err(error) => assert!(error.to_string().contains(words) && !words.is_empty(), "{words}: {error}"),
            Ok(_) => assert!(words.is_empty(), "{words}"),
        }
    }
    for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(parse("m.uai", UAI, None, beta).unwrap_err().to_string().contains("beta"), "{beta}");
    }
    let large = UAI.replace("2.5", "1e300");
    assert!(parse("m.uai", &large, None, 1e306).unwrap_err().to_string().contains("more than a number can hold"));
    assert!(count > 35);
}

#[test]
fn files_that_are_no_text_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.uai");
    std::fs::write(&path, b"MARKOV\n2\n\xff\n").unwrap();
    let message = read(&path, None, 1.0).unwrap_err().to_string();
    assert!(message.contains("model.uai, line 3") && message.contains("UTF-8"), "{message}");
    let message = read(Path::new("/nowhere/model.uai"), None, 1.0).unwrap_err().to_string();
    assert!(message.contains("/nowhere/model.uai: it cannot be read"), "{message}");
}

#[test]
fn evidence_of_both_forms_and_what_is_wrong_with_it() {
    let model = graph(Format::Uai, UAI);
    let values = |text: &str| parse_evidence("e.evid", text, &model).map(|found| found.values().collect::<Vec<_>>());
    for (text, expected) in [("1 1 2", vec![(1, 2)]), ("2 1 2 0 1", vec![(0, 1), (1, 2)]), ("0", vec![])] {
        assert_eq!(values(text).unwrap(), expected, "{text}");
        assert_eq!(values(&format!("1\n{text}\n")).unwrap(), expected, "the older form of {text}");
    }
    for (text, words) in [
        ("1 2 0", "0 to 1"),
        ("1 1 3", "0 to 2"),
        ("2 1 2 1 1", "two values"),
        ("2 1 2", "the file ends"),
        ("1 1 2 0 1", "should end"),
        ("2 1 1 2", "the number of samples"),
        ("", "the file ends"),
    ] {
        let message = values(text).unwrap_err().to_string();
        assert!(message.starts_with("e.evid, line 1: ") && message.contains(words), "{text}: {message}");
    }
}

#[test]
fn no_text_makes_a_reader_panic_or_take_more_than_it_justifies() {
    const CASES: usize = 6000;
    let mut generator = Draw::new(1, 0, Stream::Data).generator(0);
    let (mut read, mut refused) = (0, 0);
    for (format, text) in files() {
        let before = (read, refused);
        for _ in 0..CASES {
            let text = mutated(&text, &mut generator);
            // Half of the time the format has to be told as well.
            let format = if generator.random() { Some(format) } else { None };
            let held = most_held(|| match parse("model", &text, format, 1.0) {
                Ok(graph) => {
                    read += 1;
                    let log_reward = graph.log_reward(&vec![0; graph.variables()]);
                    assert!(log_reward < f64::INFINITY, "{log_reward} for {text}");
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().chars().count() < 700, "{error}");
                }
            });
            // A coupling of 14 bytes has a table of 441 numbers; a thousand variables need no mention.
            let most = 400 * text.len() + (64 << 10);
            assert!(held <= most as isize, "{held} bytes for {} bytes: {text}", text.len());
        }
        assert!(read > before.0 && refused > before.1, "{format:?}: {read} read, {refused} refused");
    }
    assert_eq!(read + refused, CASES * (Format::ALL.len() - 1));
    let model = graph(Format::Uai, UAI);
    let mut evidence = [0, 0];
    for _ in 0..CASES {
        let text = mutated("2 1 2 0 1", &mut generator);
        evidence[usize::from(parse_evidence("e", &text, &model).is_ok())] += 1;
    }
    assert!(evidence[0] > 100 && evidence[1] > 100, "{evidence:?}");
}

#[test]
fn large_files_are_read() {
    // 30,000 variables and 60,000 pairs; a table of a million entries.
    let side = 173;
    let mut text = format!("{} {}\n", side * side, 2 * side * side);
    for site in 0..side * side {
        let (right, below) = (site / side * side + (site + 1) % side, (site + side) % (side * side));
        text += &format!("{} {} 1\n{} {} -1\n", site + 1, right + 1, site + 1, below + 1);
    }
    let graph = parse("m.sg", &text, None, 1.0).unwrap();
    assert_eq!((graph.variables(), graph.factors().len()), (side * side, 2 * side * side));
    let mut text = String::from("MARKOV 5\n16 16 16 16 16 1 5 0 1 2 3 4 1048576\n");
    text += &"0.25 ".repeat(1 << 20);
    let graph = parse("m.uai", &text, None, 1.0).unwrap();
    assert_eq!(graph.log_reward(&[3, 1, 4, 1, 5]), 0.25_f64.ln());
}
