//! Texts with something changed, for readers that must not panic.

use rand::RngExt;
use wgflow::random::CounterRng;

/// A text with something changed: characters, words, lines, its end.
pub fn mutated(text: &str, generator: &mut CounterRng) -> String {
    const WORDS: [&str; 24] = [
        "0",
        "-1",
        "1",
        "2",
        "3",
        "256",
        "99999",
        "4294967296",
        "18446744073709551616",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "1d5",
        "-",
        "J",
        "h",
        "#",
        "c",
        "\n",
        "[",
        "{\"a\":",
        "\u{feff}",
        "\u{e9}",
    ];
    let mut text = text.to_owned();
    for _ in 0..generator.random_range(1..=3) {
        let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
        let place = places[generator.random_range(0..places.len())];
        let word = WORDS[generator.random_range(0..WORDS.len())];
        match generator.random_range(0..6) {
            0 => text.truncate(place),
            1 => text.insert_str(place, word),
            2 => text.insert_str(place, &format!(" {word} ")),
            3 => {
                // The word at this place is another one.
                let end = text[place..].find(char::is_whitespace).map_or(text.len(), |length| place + length);
                let start = text[..place].rfind(char::is_whitespace).map_or(0, |start| start + 1);
                let start = if text.is_char_boundary(start) { start } else { place };
                text.replace_range(start..end, word);
            }
            4 => {
                let mut lines: Vec<&str> = text.lines().collect();
                if !lines.is_empty() {
                    let (one, other) = (generator.random_range(0..lines.len()), generator.random_range(0..lines.len()));
                    if generator.random() { lines.swap(one, other) } else { lines.insert(one, lines[other]) }
                }
                text = lines.join("\n");
            }
            _ => {
                if place < text.len() {
                    text.remove(place);
                }
            }
        }
    }
    text
}
