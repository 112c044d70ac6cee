//! Paths as one line of text: quoted as git quotes them, and only when they would not survive a line.

use std::borrow::Cow;
use std::fmt::Write;

/// `path` as it is, or in double quotes with C escapes when it holds control characters, `"`, `\` or bytes that are
/// not UTF-8.
pub fn quote(path: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(path) {
        Ok(text) if !text.chars().any(needs_escape) => Cow::Borrowed(text),
        _ => Cow::Owned(quoted(path)),
    }
}

fn needs_escape(c: char) -> bool {
    c.is_control() || c == '"' || c == '\\'
}

fn quoted(path: &[u8]) -> String {
    let mut text = String::from("\"");
    for part in path.utf8_chunks() {
        part.valid().chars().for_each(|c| escape(&mut text, c));
        part.invalid().iter().for_each(|&byte| octal(&mut text, byte));
    }
    text.push('"');
    text
}

fn escape(text: &mut String, c: char) {
    match c {
        '\u{7}' => text.push_str("\\a"),
        '\u{8}' => text.push_str("\\b"),
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\u{b}' => text.push_str("\\v"),
        '\u{c}' => text.push_str("\\f"),
        '\r' => text.push_str("\\r"),
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        c if c.is_control() => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| octal(text, byte)),
        c => text.push(c),
    }
}

fn octal(text: &mut String, byte: u8) {
    write!(text, "\\{byte:03o}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_stay_as_they_are() {
        for path in ["orders/1.parquet", "with blank", "größe/€.csv", "it's"] {
            assert_eq!(quote(path.as_bytes()), path);
        }
    }

    #[test]
    fn what_would_not_survive_a_line_is_quoted_as_git_does() {
        assert_eq!(quote(b"a\nb"), r#""a\nb""#);
        assert_eq!(quote(b"tab\there"), r#""tab\there""#);
        assert_eq!(quote(br#"say "hi" \o/"#), r#""say \"hi\" \\o/""#);
        assert_eq!(quote(b"\xff\x01\x7f"), r#""\377\001\177""#);
        assert_eq!(quote("é\n".as_bytes()), "\"é\\n\"");
    }

    #[test]
    fn different_paths_are_never_quoted_alike() {
        let paths: [&[u8]; 5] = [b"a", b"\"a\"", b"\\n", b"\n", b"\"\\n\""];
        let quoted: std::collections::BTreeSet<_> = paths.iter().map(|path| quote(path).into_owned()).collect();
        assert_eq!(quoted.len(), paths.len());
    }
}
