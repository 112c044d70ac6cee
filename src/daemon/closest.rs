//! What somebody may have meant by a name that is not there.

/// Names longer than this are not compared: they are not typed by hand.
const NAME_CHARS_MAX: usize = 64;

/// The name among `names` that is most like `written`, if one is like it at all.
pub fn closest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (written.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (distance(&written.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Letters to insert, delete, replace or swap with their neighbour to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > NAME_CHARS_MAX {
        return usize::MAX;
    }
    let width = b.len() + 1;
    let mut cells: Vec<usize> = (0..width).collect();
    for (i, x) in a.iter().enumerate() {
        for j in 0..width {
            let at = (i + 1) * width + j;
            let cell = if j == 0 {
                i + 1
            } else {
                let y = b[j - 1];
                let replaced = cells[at - width - 1] + usize::from(*x != y);
                let swapped = i > 0 && j > 1 && *x == b[j - 2] && a[i - 1] == y;
                let mut best = replaced.min(cells[at - width] + 1).min(cells[at - 1] + 1);
                if swapped {
                    best = best.min(cells[at - 2 * width - 2] + 1);
                }
                best
            };
            cells.push(cell);
        }
    }
    cells[cells.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let names = ["sales", "marketing", "hr"];
        assert_eq!(closest("slaes", names), Some("sales"));
        assert_eq!(closest("Sales", names), Some("sales"));
        assert_eq!(closest("markting", names), Some("marketing"));
        assert_eq!(closest("finance", names), None);
        assert_eq!(closest("x", []), None);
    }

    #[test]
    fn distances_count_single_slips() {
        for (a, b, expected) in
            [("", "", 0), ("ab", "ba", 1), ("abc", "abd", 1), ("abc", "ab", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }
}
