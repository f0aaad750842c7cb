//! Which file of a directory a request means, and that it means no other.

use std::path::{Component, Path, PathBuf};

/// The regular file below `root` (a path without links) that the rest of an address names; none if there is none, if a part of
/// it is hidden, or if it is not in the directory, by `..` or by a link that leads out of it.
pub fn resolve(root: &Path, address: &str) -> Option<PathBuf> {
    let mut path = root.to_owned();
    for part in address.split('/') {
        path.push(plain(&decode(part)?)?);
    }
    let path = path.canonicalize().ok()?;
    (path.starts_with(root) && path.is_file()).then_some(path)
}

/// The name, if it is one of a file or directory that is not hidden, and no way to elsewhere.
pub fn plain(name: &str) -> Option<&str> {
    let mut parts = Path::new(name).components();
    let alone = matches!(parts.next(), Some(Component::Normal(part)) if part == name) && parts.next().is_none();
    (alone && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])).then_some(name)
}

/// The parameter of this name in the part of an address after `?`.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).and_then(|(_, value)| decode(value))
}

/// Text with `%XX` made the bytes that they stand for (RFC 3986, 2.1); none if that is no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || Some((rest.next()? as char).to_digit(16)? as u8);
        bytes.push(16 * digit()? + digit()?);
    }
    String::from_utf8(bytes).ok()
}

/// The type of a file by its suffix. What is none to be looked at is to be saved.
pub fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("toml" | "jsonl" | "md" | "csv" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_of_the_directory_are_found_and_no_others() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap().join("suite");
        fs::create_dir_all(root.join("a run")).unwrap();
        for name in ["report.html", "a run/x.png", ".lock", "a run/100%.csv", "../outside", "..x"] {
            fs::write(root.join(name), name).unwrap();
        }
        let found = |address: &str| resolve(&root, address).map(|path| fs::read_to_string(path).unwrap());
        for (address, expected) in
            [("report.html", "report.html"), ("a%20run/x.png", "a run/x.png"), ("a%20run/100%25.csv", "a run/100%.csv")]
        {
            assert_eq!(found(address).as_deref(), Some(expected));
        }
        for address in [
            "",
            "/",
            ".",
            "..",
            "../outside",
            "%2e%2e/outside",
            "%2E%2E%2Foutside",
            "a%20run/../../outside",
            "a%20run//x.png",
            "a%20run/",
            "a%20run",
            "/report.html",
            "/etc/passwd",
            "%2fetc%2fpasswd",
            "//etc/passwd",
            "..%5coutside",
            ".lock",
            "%2elock",
            "..x",
            "x%00.png",
            "%",
            "%2",
            "%zz",
            "%ff",
            "report.html/",
            "report.html/..",
            "gone",
            "...",
            "~",
        ] {
            assert_eq!(found(address), None, "{address}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_within_the_directory_only() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap().join("suite");
        fs::create_dir_all(root.join("run")).unwrap();
        fs::write(root.join("run/report.html"), "").unwrap();
        fs::write(place.path().join("secret"), "").unwrap();
        symlink("run/report.html", root.join("inside")).unwrap();
        symlink("../secret", root.join("outside")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink(place.path().join("suite-2"), root.join("sibling")).unwrap();
        fs::create_dir(place.path().join("suite-2")).unwrap();
        fs::write(place.path().join("suite-2/report.html"), "").unwrap();
        assert_eq!(resolve(&root, "inside"), Some(root.join("run/report.html")));
        for address in ["outside", "up/secret", "up/suite/inside", "sibling/report.html"] {
            let within = address == "up/suite/inside";
            assert_eq!(resolve(&root, address).is_some(), within, "{address}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(parameter("run=a%20b&from=12", "run").as_deref(), Some("a b"));
        assert_eq!(parameter("run=a%20b&from=12", "from").as_deref(), Some("12"));
        assert_eq!(parameter("run=&from", "run").as_deref(), Some(""));
        assert_eq!(parameter("run=&from", "from"), None);
        assert_eq!(parameter("", "run"), None);
    }
}
