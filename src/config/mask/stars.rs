//! A line with stars in the place of what must not be shown.

use std::ops::Range;

use super::STARS;

/// The line with stars for each mask, and the span as it lies in that text. `masks` ascend.
pub(in crate::config) fn apply(
    line: &str,
    span: Range<usize>,
    masks: &[Range<usize>],
) -> (String, Range<usize>) {
    let mut shown = String::with_capacity(line.len());
    let mut marked = span.clone();
    let mut done = 0;
    for mask in masks {
        if mask.start < done || mask.end <= mask.start {
            continue; // lies in the one before, or is empty
        }
        shown.push_str(line.get(done..mask.start).unwrap_or_default());
        let begin = shown.len();
        shown.push_str(STARS);
        // A span that touches the hidden part shows all of the stars.
        marked.start = moved(marked.start, span.start, mask, begin, shown.len(), false);
        marked.end = moved(marked.end, span.end, mask, begin, shown.len(), true);
        done = mask.end;
    }
    shown.push_str(line.get(done..).unwrap_or_default());
    marked.end = marked.end.max(marked.start);
    (shown, marked)
}

/// Where a bound of the span at `original` lies once `mask` became the stars `begin..end`.
fn moved(
    current: usize,
    original: usize,
    mask: &Range<usize>,
    begin: usize,
    end: usize,
    is_end: bool,
) -> usize {
    if original >= mask.end {
        end + (original - mask.end)
    } else if original > mask.start {
        if is_end { end } else { begin }
    } else if original == mask.start {
        begin
    } else {
        current
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::apply;

    #[test]
    fn the_marked_part_moves_with_the_stars() {
        let line = "id = \"long secret\", x = 1";
        let mask = 5..18;
        let (shown, marked) = apply(line, 20..21, std::slice::from_ref(&mask));
        assert_eq!(shown, "id = ***, x = 1");
        assert_eq!(&shown[marked], "x");
        let (shown, marked) = apply(line, 5..18, std::slice::from_ref(&mask));
        assert_eq!(&shown[marked], "***");
        let (shown, marked) = apply(line, 0..2, std::slice::from_ref(&mask));
        assert_eq!(&shown[marked], "id");
        let (shown, marked) = apply(line, 8..10, std::slice::from_ref(&mask));
        assert_eq!(&shown[marked], "***");
    }

    proptest! {
        #[test]
        fn what_is_marked_is_a_part_of_what_is_shown(
            line in "[a-z =\"]{0,40}",
            bounds in proptest::collection::vec(0_usize..=40, 6),
        ) {
            let cut = |at: usize| at.min(line.len());
            let range = |a: usize, b: usize| cut(a.min(b))..cut(a.max(b));
            let mut masks = vec![range(bounds[0], bounds[1]), range(bounds[2], bounds[3])];
            masks.sort_by_key(|mask| mask.start);
            let (shown, marked) = apply(&line, range(bounds[4], bounds[5]), &masks);
            prop_assert!(shown.get(marked).is_some());
        }
    }
}
