//! Claims of a response, each supported or not.

use serde::Serialize;

use super::Fields;
use crate::report::Reason;

/// One thing that a response states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claim {
    /// What is stated.
    pub text: String,
    /// Whether it is true; none where that was not settled.
    pub supported: Option<bool>,
}

/// Takes a list of claims.
///
/// # Errors
/// [`crate::Code::Type`] and [`crate::Code::MissingField`] with the path, such as `chosen_claims[1].text`.
pub(crate) fn take_claims(fields: &mut Fields<'_>, name: &str) -> Result<Vec<Claim>, Reason> {
    let claim =
        |fields: &mut Fields<'_>| Ok(Claim { text: fields.need_string("text")?, supported: fields.bool("supported")? });
    Ok(fields.objects(name, claim)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::record::{Pair, RecordType};

    #[test]
    fn claims_stand_beside_their_side_and_keep_what_is_not_known_of_them() {
        let json = json!({
            "kind": "pair", "prompt": "Q", "chosen": " x", "rejected": " y", "chosen_factual": true,
            "chosen_claims": [{"text": "s", "supported": true}, {"text": "t", "supported": null}],
            "rejected_claims": [{"text": "u", "supported": false}],
        });
        let pair = Pair::from_object(json.as_object().unwrap().clone()).unwrap();
        assert_eq!(serde_json::to_value(&pair).unwrap(), json);
        let supported: Vec<_> = pair.chosen_claims.iter().map(|claim| claim.supported).collect();
        assert_eq!(supported, [Some(true), None]);
        let swapped = pair.clone().swapped();
        assert_eq!((&swapped.chosen_claims, &swapped.rejected_claims), (&pair.rejected_claims, &pair.chosen_claims));
    }
}
