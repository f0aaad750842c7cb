//! Pictures and pages from the outside: files that decode, and no data that breaks them.

use std::io::Cursor;

use wgflow::report::{Chart, Content, Figure, Histogram, Page, Panel, Section, panels};

/// Width, height and RGB pixels of a PNG file.
fn decode(file: &[u8]) -> (u32, u32, Vec<[u8; 3]>) {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    assert_eq!(reader.output_color_type(), (png::ColorType::Rgb, png::BitDepth::Eight));
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect())
}

fn count(pixels: &[[u8; 3]], colour: [u8; 3]) -> usize {
    pixels.iter().filter(|pixel| **pixel == colour).count()
}

const BLUE: [u8; 3] = [0x00, 0x72, 0xb2];
const VERMILION: [u8; 3] = [0xd5, 0x5e, 0x00];
const INK: [u8; 3] = [0x1c, 0x23, 0x29];

/// y values that no picture may choke on.
fn nasty() -> Vec<Vec<f64>> {
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    vec![
        vec![],
        vec![1.0],
        vec![nan],
        vec![infinity, -infinity, nan],
        vec![2.0; 50],
        vec![0.0, nan, 1.0, infinity, 2.0, 2.0, -infinity],
        vec![f64::MIN, 0.0, f64::MAX],
        vec![f64::MAX; 3],
        vec![f64::MIN_POSITIVE, 5e-324, 0.0],
        vec![1e15, 1e15 + 0.125, 1e15 + 0.25],
        vec![-0.0, 0.0],
        (0..2000).map(|i| if i % 7 == 0 { nan } else { f64::MAX / f64::from(i) }).collect(),
    ]
}

#[test]
fn a_chart_has_its_size_and_its_colours() {
    let line = (0..100).map(|i| (f64::from(i), f64::from(i * i)));
    let chart = Chart::new("t", "x", "y").line("a", line.clone()).line("b", line.map(|(x, y)| (x, y / 2.0)));
    let (width, height, pixels) = decode(&chart.clone().reference("limit", 5000.0).png().unwrap());
    assert_eq!((width, height), (1240, 800));
    let (blue, vermilion, ink) = (count(&pixels, BLUE), count(&pixels, VERMILION), count(&pixels, INK));
    // A line four pixels thick across more than a thousand pixels, less its smoothed edges.
    assert!(blue > 1500 && vermilion > 1500, "{blue} {vermilion}");
    let without = count(&decode(&chart.png().unwrap()).2, INK);
    assert!(ink > without + 1000, "dashes across half of a thousand pixels: {without} before, {ink} after");
}

#[test]
fn early_huge_values_do_not_flatten_the_curve() {
    // Of 200 values only the first ten are huge; the rest rises from 0 to 1.
    let value = |i: i32| if i < 10 { 1e6 } else { f64::from(i) / 200.0 };
    let chart = Chart::new("", "", "").line("loss", (0..200).map(|i| (f64::from(i), value(i))));
    let (width, height, pixels) = decode(&chart.png().unwrap());
    let row = |column: u32| {
        let of_column = (100..height).filter(|row| pixels[(row * width + column) as usize] == BLUE);
        let rows: Vec<u32> = of_column.collect();
        rows[rows.len() / 2]
    };
    let (early, late) = (row(width / 4), row(width * 9 / 10));
    assert!(early > late + height / 5, "the curve rises from row {early} to row {late} of {height}");
}

#[test]
fn no_series_breaks_a_chart() {
    for y in nasty() {
        let points = |shift: f64| y.iter().enumerate().map(move |(i, y)| (i as f64 + shift, *y)).collect::<Vec<_>>();
        let swapped = points(0.0).into_iter().map(|(x, y)| (y, x));
        let band = points(0.0).into_iter().map(|(x, y)| (x, y - 1.0, y + 1.0));
        for chart in [
            Chart::new("t", "x", "y").line("plain", points(0.0)),
            Chart::new("t", "x", "y").line("band", points(0.0)).band(band).reference("r", 3.0),
            Chart::new("t", "x", "y").line("swapped", swapped).reference("far", f64::MAX).reference("none", f64::NAN),
            (0..8).fold(Chart::new("t", "x", "y"), |chart, k| chart.line(format!("{k}"), points(f64::from(k)))),
        ] {
            let (width, height, pixels) = decode(&chart.png().unwrap());
            assert_eq!((width, height), (1240, 800));
            assert!(count(&pixels, INK) > 100, "the title at least, for {y:?}");
        }
    }
    decode(&Chart::new("", "", "").png().unwrap());
    decode(
        &Chart::new("long ".repeat(200), "\n\t", "é漢🙂".repeat(99))
            .line("name ".repeat(99), [(0.0, 0.0)])
            .png()
            .unwrap(),
    );
}

#[test]
fn no_samples_break_a_histogram() {
    for values in nasty() {
        let histogram = Histogram::new("t", "x").samples("a", values.clone()).samples("b", [1.0, 2.0, 2.0]);
        let (width, height, pixels) = decode(&histogram.png().unwrap());
        assert_eq!((width, height), (1240, 720));
        assert!(count(&pixels, VERMILION) > 100);
        decode(&Histogram::new("t", "x").samples("alone", values).png().unwrap());
    }
    decode(&Histogram::new("", "").png().unwrap());
}

#[test]
fn panels_show_what_they_are_given() {
    let range = (-1.0, 1.0);
    let tiles = Content::Tiles { width: 2, images: vec![vec![1.0, 1.0, 1.0, 1.0]; 16] };
    let (width, height, pixels) = decode(&panels(&[Panel::new("a", tiles.clone()), Panel::new("b", tiles)]).unwrap());
    assert_eq!((width, height), (1240, 672));
    // Sixteen dark tiles of 142 by 142 pixels (a panel of 572 less three gaps of 10, shared by four) in two panels.
    let dark = count(&pixels, [0x12, 0x3b, 0x66]);
    assert!((dark as f64 / f64::from(2 * 16 * 135 * 135) - 1.0).abs() < 0.03, "{dark}");

    let heat = Content::HeatMap { columns: 2, values: vec![0.0, 0.0, 0.0, 1.0], x: range, y: range, limits: None };
    let (width, height, pixels) = decode(&panels(&[Panel::new("", heat)]).unwrap());
    assert_eq!((width, height), (756, 672));
    let at = |column: u32, row: u32| pixels[(row * width + column) as usize];
    assert_eq!(at(width / 2, height / 4), [0xfd, 0xe7, 0x25], "the last value stands at the top right");
    assert_eq!(at(width / 4, height / 4), [0x44, 0x01, 0x54]);
    assert_eq!(at(width / 2, height * 3 / 4), [0x44, 0x01, 0x54]);
}

#[test]
fn no_data_breaks_a_panel() {
    decode(&panels(&[]).unwrap());
    for values in nasty() {
        let ends = (values.first().copied().unwrap_or(f64::NAN), values.last().copied().unwrap_or(f64::INFINITY));
        let points: Vec<(f64, f64)> = values.iter().map(|v| (*v, *v)).collect();
        for columns in [0, 1, 3, 5000] {
            let heat = |limits| Content::HeatMap { columns, values: values.clone(), x: ends, y: (0.0, 1.0), limits };
            let drawn = panels(&[
                Panel::new("heat", heat(None)),
                Panel::new("limits", heat(Some(ends))),
                Panel::new("points", Content::Points { points: points.clone(), x: (0.0, 3.0), y: ends }),
                Panel::new("tiles", Content::Tiles { width: columns, images: vec![values.clone(), vec![], vec![0.5]] }),
                Panel::new("no tiles", Content::Tiles { width: columns, images: vec![] }),
            ]);
            assert_eq!(decode(&drawn.unwrap()).0, 3 * 756);
        }
    }
}

#[test]
fn a_hundred_thousand_points_are_drawn_as_their_means_in_the_shade_of_their_range() {
    let points = (0..100_000).map(|i| (f64::from(i), f64::from(i % 97)));
    let (width, height, pixels) = decode(&Chart::new("t", "x", "y").line("a", points).png().unwrap());
    assert_eq!((width, height), (1240, 800));
    // A line four pixels thick across more than a thousand, nearly level; teeth from top to bottom would be most of it all.
    let blue = count(&pixels, BLUE);
    assert!((1500..30_000).contains(&blue), "{blue} pixels of the line");
    let corner = pixels[0];
    let free = count(&pixels, corner);
    assert!(free < pixels.len() / 2, "{free} pixels without a shade");
}

#[test]
fn a_page_holds_its_pictures() {
    let chart = Chart::new("t", "x", "y").line("a", [(0.0, 1.0), (1.0, 0.0)]).png().unwrap();
    let section = Section::new("Learning").figures(&[Figure::new(chart, "caption", "a falling line")]);
    let page = Page::new("A run").entry("log Z", "12.3", "exact").section(section).render();
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.contains("src=\"data:image/png;base64,iVBORw0KGgo"));
    assert!(page.contains("alt=\"a falling line\""));
}
