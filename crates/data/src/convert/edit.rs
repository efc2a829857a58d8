//! Edits to pairs: the edited version is better than the original.

use super::{ConversionReport, Drop, each, keep};
use crate::record::{Edit, Pair, Unpaired};

/// Turns edits into pairs with the edited version as chosen. A response that was accepted as it is becomes a good
/// completion instead, and is counted among both results' inputs once, as converted.
///
/// # Example
/// ```
/// use accordant_data::{convert::edit_to_pair, record::Edit};
/// let (pairs, accepted, report) = edit_to_pair([Edit::new("Q", " x", " x!")?, Edit::new("Q", " y", " y")?]);
/// assert_eq!((pairs[0].chosen.as_plain(), pairs[0].rejected.as_plain()), (Some(" x!"), Some(" x")));
/// assert!(accepted[0].label);
/// assert_eq!((report.converted, report.outputs), (2, 2));
/// # Ok::<(), accordant_data::report::Reason>(())
/// ```
pub fn edit_to_pair(edits: impl IntoIterator<Item = Edit>) -> (Vec<Pair>, Vec<Unpaired>, ConversionReport) {
    let mut accepted = Vec::new();
    let (pairs, mut report) = each(ConversionReport::new("edit_to_pair", true), edits, |edit, _| {
        crate::record::RecordType::check(&edit).map_err(Drop::from)?;
        let unchanged = edit.is_unchanged();
        let mut envelope = edit.envelope;
        keep(&mut envelope.meta, "feedback", edit.feedback);
        keep(&mut envelope.meta, "change_summary", edit.change_summary);
        keep(&mut envelope.meta, "edit_distance", edit.edit_distance);
        if unchanged {
            accepted.push(Unpaired { envelope, ..Unpaired::unchecked(edit.prompt, edit.edited, true) });
            return Ok(Vec::new());
        }
        Ok(vec![Pair { envelope, ..Pair::unchecked(edit.prompt, edit.edited, edit.original) }])
    });
    report.outputs += accepted.len();
    (pairs, accepted, report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_comes_along_and_what_is_no_edit_is_dropped() {
        let edit = Edit { feedback: vec!["shorter".into()], ..Edit::new("q", " long", " l").unwrap() };
        let empty = Edit { edited: " ".into(), ..edit.clone() };
        let same = Edit { edited: " long ".into(), ..edit.clone() };
        let (pairs, accepted, report) = edit_to_pair([edit, empty, same]);
        assert_eq!(pairs[0].envelope.meta["feedback"][0], "shorter");
        assert_eq!((accepted[0].completion.as_plain(), accepted[0].label), (Some(" long "), true));
        assert_eq!(accepted[0].envelope.meta["feedback"][0], "shorter");
        assert_eq!((report.inputs, report.converted, report.outputs, report.dropped["E_EMPTY"]), (3, 2, 2, 1));
    }
}
