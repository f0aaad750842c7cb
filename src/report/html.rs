//! One self-contained HTML page: no script, and nothing fetched from anywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::escape::escape;
use super::table::Table;

/// A picture in the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// A PNG file, shown at half its size in pixels.
    pub png: Vec<u8>,
    /// What stands below the picture.
    pub caption: String,
    /// What the picture shows, for those who cannot see it.
    pub alt: String,
}

impl Figure {
    pub fn new(png: Vec<u8>, caption: impl Into<String>, alt: impl Into<String>) -> Self {
        Self { png, caption: caption.into(), alt: alt.into() }
    }

    fn to_html(&self) -> String {
        // Width and height stand in bytes 16 to 24 of a PNG; given to the browser, the page does not jump as it loads.
        let side = |at: usize| Some(u32::from_be_bytes(self.png.get(at..at + 4)?.try_into().ok()?) / 2);
        let (size, room) = match (side(16), side(20)) {
            // Pictures may shrink to share a row, down to three quarters; on a narrow screen to half, then they scroll.
            (Some(width), Some(height)) => (
                format!(" width=\"{width}\" height=\"{height}\" style=\"min-width:{}px\"", width / 2),
                format!(" style=\"flex-basis:min(100%,{}px);max-width:{}px\"", width * 3 / 4, width + 2),
            ),
            _ => (String::new(), String::new()),
        };
        let caption = match self.caption.as_str() {
            "" => String::new(),
            caption => format!("<figcaption>{}</figcaption>", escape(caption)),
        };
        let image = format!(
            "<img{size} alt=\"{}\" src=\"data:image/png;base64,{}\">",
            escape(&self.alt),
            BASE64.encode(&self.png)
        );
        format!("<figure{room}><div class=\"picture\">{image}</div>{caption}</figure>\n")
    }
}

/// A heading and what follows it, in the order in which it was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    body: String,
}

impl Section {
    pub fn new(heading: &str) -> Self {
        Self { body: format!("<h2>{}</h2>\n", escape(heading)) }
    }

    /// A paragraph; line breaks are kept.
    pub fn text(mut self, text: &str) -> Self {
        self.body += &format!("<p>{}</p>\n", escape(text));
        self
    }

    /// Pictures side by side where the screen has room for them, else one below the other.
    pub fn figures(mut self, figures: &[Figure]) -> Self {
        self.body += "<div class=\"figures\">\n";
        figures.iter().for_each(|figure| self.body += &figure.to_html());
        self.body += "</div>\n";
        self
    }

    pub fn table(mut self, caption: &str, table: &Table) -> Self {
        let caption = match caption {
            "" => String::new(),
            caption => format!("<figcaption>{}</figcaption>\n", escape(caption)),
        };
        let table = table.to_html();
        self.body += &format!("<figure class=\"table\">\n{caption}<div class=\"scroll\">\n{table}</div>\n</figure>\n");
        self
    }

    /// Text shown letter by letter (a configuration, say), folded away below its label.
    pub fn listing(mut self, label: &str, text: &str) -> Self {
        let (label, text) = (escape(label), escape(text));
        self.body += &format!("<details><summary>{label}</summary><pre>{text}</pre></details>\n");
        self
    }
}

/// A page: title, summary, sections, footer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    title: String,
    subtitle: String,
    summary: String,
    sections: String,
    footer: String,
}

impl Page {
    pub fn new(title: &str) -> Self {
        Self { title: escape(title), ..Self::default() }
    }

    /// A line below the title.
    pub fn subtitle(mut self, text: &str) -> Self {
        self.subtitle = format!("<p>{}</p>\n", escape(text));
        self
    }

    /// A figure of the summary: what it is called, its value, and a remark that may be empty.
    pub fn entry(mut self, key: &str, value: &str, note: &str) -> Self {
        let (key, value, note) = (escape(key), escape(value), escape(note));
        let note = if note.is_empty() { note } else { format!("<dd class=\"note\">{note}</dd>") };
        self.summary += &format!("<div><dt>{key}</dt><dd class=\"value\">{value}</dd>{note}</div>\n");
        self
    }

    pub fn section(mut self, section: Section) -> Self {
        self.sections += &format!("<section>\n{}</section>\n", section.body);
        self
    }

    /// A line at the page's end: the program and its version, say.
    pub fn footer(mut self, text: &str) -> Self {
        self.footer = format!("<footer>{}</footer>\n", escape(text));
        self
    }

    /// The page as one HTML document.
    pub fn render(&self) -> String {
        let Self { title, subtitle, summary, sections, footer } = self;
        let style = include_str!("report.css");
        let summary =
            if summary.is_empty() { String::new() } else { format!("<dl class=\"summary\">\n{summary}</dl>\n") };
        // The policy is a promise that browsers hold the page to: pictures from inside, nothing from outside.
        let policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n\
             <header>\n<h1>{title}</h1>\n{subtitle}</header>\n<main>\n{summary}{sections}</main>\n\
             {footer}</body>\n</html>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::table::{Cell, Column};

    #[test]
    fn escape_leaves_no_markup() {
        assert_eq!(escape("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
        assert_eq!(escape("&amp;"), "&amp;amp;");
        assert_eq!(escape("log Z ± σ\n\tnext\u{0}\u{1b}"), "log Z ± σ\n\tnext\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn everything_given_is_in_the_page_and_escaped() {
        let evil = "<script>alert(1)</script>\" onload='x'";
        let mut table = Table::new([Column::right(evil)]);
        table.push([Cell::emphasised(evil)]);
        let section = Section::new(evil)
            .text(evil)
            .figures(&[Figure::new(vec![1, 2, 3], evil, evil)])
            .table(evil, &table)
            .listing(evil, evil);
        let page = Page::new(evil).subtitle(evil).entry(evil, evil, evil).section(section).footer(evil).render();
        assert!(!page.contains("<script") && !page.contains("' onload") && !page.contains("\" onload"));
        // Title twice, subtitle, three in the summary, heading, text, caption, alt text, table caption, column, cell,
        // listing's label and text, footer.
        assert_eq!(page.matches("&lt;script&gt;").count(), 16);
    }

    #[test]
    fn pictures_are_embedded_at_half_their_size() {
        let png = crate::report::Chart::new("t", "x", "y").png().unwrap();
        let html = Figure::new(png.clone(), "", "an empty chart").to_html();
        let data = html.split("base64,").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(BASE64.decode(data).unwrap(), png);
        let reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
        let (width, height) = reader.info().size();
        assert!(html.contains(&format!("width=\"{}\" height=\"{}\"", width / 2, height / 2)), "{}", &html[..100]);
    }

    #[test]
    fn nothing_is_fetched_from_outside() {
        let page = Page::new("t").entry("a", "b", "").section(Section::new("h")).render();
        assert!(
            !page.contains("http:") && !page.contains("https:") && !page.contains("url(") && !page.contains("@import")
        );
    }
}
