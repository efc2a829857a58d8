//! OpenAssistant: trees of messages between prompters and assistants, replies ranked by people.
//!
//! **Paper:** OpenAssistant Conversations (2023), 2304.07327; data cards `OpenAssistant/oasst1`, `oasst2`.
//! **Format:** JSON Lines in four shapes, told in this order: `message_id` is a message, with its `replies` inside or,
//! flat, one row for each message of a tree, depth first; `thread_id` is a thread without branches; `message_tree_id` is
//! a tree whose root is `prompt`.
//! **Records:** trees; threads are `sft`. With [`OasstRm`] ranked replies. The prompt of a tree is its root's text, and
//! the root's node is empty.
//! **Quirks:** keys are absent instead of null; of a tag's name, value and count the flat shape makes parallel lists;
//! `rank` counts from 0, and prompters' replies have none. No tree may be in two splits: split by `meta.message_tree_id`.
//! **Presets:** [`OasstRm`] is the selection that Open-Assistant trained its reward models on (`oasst_data`).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Origin},
    has_all,
};
use crate::{
    read::{Given, RowReader},
    record::{Fields, Kind, Reading, Record},
    report::{Code, Reason},
    row::{Place, Row},
    rules::Rules,
};

/// OpenAssistant, as trees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oasst;

/// OpenAssistant, as ranked replies: of each thread that ends with a prompter, the assistant's replies with a rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OasstRm {
    /// Languages of the root that are kept; others are left out, under `lang`. Empty: all. Default: English.
    pub languages: Vec<String>,
    /// Trees in another state than `ready_for_export` are left out, under `tree_state`. Default: yes.
    pub ready_only: bool,
    /// Trees whose root was not approved in review are left out, under `review_result`. Default: yes.
    pub reviewed_only: bool,
    /// Threads with a deleted message are left out. Default: yes.
    pub drop_deleted: bool,
    /// Threads with a message that a model wrote are left out. Default: yes.
    pub drop_synthetic: bool,
}

impl Default for OasstRm {
    fn default() -> Self {
        let languages = vec!["en".to_owned()];
        Self { languages, ready_only: true, reviewed_only: true, drop_deleted: true, drop_synthetic: true }
    }
}

impl OasstRm {
    /// Every ranked reply of every tree.
    pub fn all() -> Self {
        Self {
            languages: Vec::new(),
            ready_only: false,
            reviewed_only: false,
            drop_deleted: false,
            drop_synthetic: false,
        }
    }
}

/// One message of a tree.
#[derive(Debug)]
struct Node {
    id: String,
    parent: Option<String>,
    text: String,
    is_prompter: bool,
    rank: Option<u64>,
    fields: Map<String, Value>,
}

impl Node {
    fn take(mut row: Fields<'_>) -> Result<Self, Reason> {
        let role = row.need_string("role")?;
        let is_prompter = match role.as_str() {
            "prompter" => true,
            "assistant" => false,
            other => {
                let message = format!("expected prompter or assistant, found `{other}`");
                return Err(Reason::field(Code::Role, row.path("role"), message));
            }
        };
        let mut node = Self {
            id: row.need_string("message_id")?,
            parent: row.string("parent_id")?,
            text: row.need_string("text")?,
            is_prompter,
            rank: row.count("rank")?,
            fields: Map::new(),
        };
        for name in ["labels", "emojis"] {
            if let Some(tags) = row.get(name).and_then(tags_by_name) {
                row.insert(name, tags);
            }
        }
        node.fields = row.into_rest();
        node.fields.retain(|_, value| !value.is_null());
        Ok(node)
    }

    fn is(&self, name: &str) -> bool {
        self.fields.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The message in a conversation.
    fn message(&self) -> Value {
        json!({"role": if self.is_prompter { "user" } else { "assistant" }, "content": self.text})
    }
}

/// Tags as a map of parallel lists: `{name: [..], value: [..], count: [..]}` by name.
fn tags_by_name(tags: &Value) -> Option<Value> {
    let names = tags.get("name")?.as_array()?;
    let column = |name: &str| tags.get(name).and_then(Value::as_array);
    let tag = |(i, name): (usize, &Value)| {
        let of = |column: Option<&Vec<Value>>| column.and_then(|column| column.get(i)).cloned().unwrap_or_default();
        let count = of(column("count"));
        let tag =
            if tags.get("value").is_some() { json!({"value": of(column("value")), "count": count}) } else { count };
        Some((name.as_str()?.to_owned(), tag))
    };
    names.iter().enumerate().map(tag).collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// A tree, flat.
#[derive(Debug, Default)]
struct Messages {
    id: String,
    state: Option<String>,
    nodes: Vec<Node>,
}

impl Messages {
    /// The messages of a root with its replies inside, parents first. Not recursive, so that depth costs no stack.
    fn nested(root: Value, path: &str, reading: &mut Reading) -> Result<Vec<Node>, Reason> {
        let (mut nodes, mut open) = (Vec::new(), vec![(root, path.to_owned(), None)]);
        while let Some((message, path, parent)) = open.pop() {
            let mut message = Fields::of(message, path, reading)?;
            let replies = message.list("replies")?.unwrap_or_default();
            let replies_path = message.path("replies");
            let mut node = Node::take(message)?;
            node.parent = node.parent.or(parent);
            let children = replies.into_iter().enumerate().rev();
            open.extend(children.map(|(i, reply)| (reply, format!("{replies_path}[{i}]"), Some(node.id.clone()))));
            nodes.push(node);
        }
        Ok(nodes)
    }

    fn root(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| node.parent.is_none())
    }

    /// The record of the whole tree.
    fn tree(self) -> Draft {
        let mut draft = Draft::new(Kind::Tree).with("id", self.id.clone()).with("meta.message_tree_id", self.id);
        draft.set("meta.tree_state", self.state);
        let (mut nodes, mut rest) = (Vec::new(), Map::new());
        for (i, node) in self.nodes.into_iter().enumerate() {
            draft = draft.named(&format!("nodes[{i}]"), format!("message {}", node.id));
            let is_root = node.parent.is_none() && draft.get("prompt").is_none();
            let mut fields = node.fields;
            let mut known = Map::from_iter([
                ("node_id".to_owned(), json!(node.id)),
                ("parent_id".to_owned(), json!(node.parent)),
                ("text".to_owned(), json!(if is_root { "" } else { &node.text })),
                ("role".to_owned(), json!(if node.is_prompter { "user" } else { "assistant" })),
            ]);
            if let Some(rank) = node.rank {
                known.insert("rank".into(), json!(rank));
            }
            for name in ["deleted", "review_result", "synthetic", "labels", "model_name"] {
                if let Some(value) = fields.shift_remove(name) {
                    known.insert(name.into(), value);
                }
            }
            if is_root {
                draft = draft.with("prompt", node.text).with("root_id", node.id.clone());
            }
            if !fields.is_empty() {
                rest.insert(node.id, fields.into());
            }
            nodes.push(Value::Object(known));
        }
        draft.set("nodes", nodes);
        if !rest.is_empty() {
            draft.set("meta.messages", rest);
        }
        draft
    }

    /// The records of ranked replies, or the option that leaves the tree out.
    fn ranked(&self, options: &OasstRm) -> Result<Vec<Draft>, &'static str> {
        let root = self.root();
        let text = |name: &str| root.and_then(|root| root.fields.get(name)?.as_str());
        if options.ready_only && self.state.as_deref() != Some("ready_for_export") {
            return Err("tree_state");
        }
        if options.reviewed_only && !root.is_some_and(|root| root.is("review_result")) {
            return Err("review_result");
        }
        let spoken = |lang: &str| options.languages.iter().any(|wanted| wanted == lang);
        if !options.languages.is_empty() && !text("lang").is_some_and(spoken) {
            return Err("lang");
        }
        let by_id: HashMap<_, _> = self.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut replies_of: HashMap<&str, Vec<&Node>> = HashMap::new();
        for node in self.nodes.iter().filter(|node| !node.is_prompter) {
            replies_of.entry(node.parent.as_deref().unwrap_or_default()).or_default().push(node);
        }
        let (mut drafts, mut has_replies) = (Vec::new(), false);
        for node in self.nodes.iter().filter(|node| node.is_prompter) {
            let Some(replies) = replies_of.get(node.id.as_str()) else { continue };
            let Some(thread) = thread(node, &by_id) else { continue };
            let left_out = |node: &Node| {
                options.drop_deleted && node.is("deleted") || options.drop_synthetic && node.is("synthetic")
            };
            let (mut ranked, mut unranked) = (Vec::new(), 0_u64);
            for reply in replies.iter().filter(|reply| !left_out(reply)) {
                match reply.rank {
                    Some(rank) => ranked.push((rank, *reply)),
                    None => unranked += 1,
                }
            }
            if ranked.len() < 2 {
                continue;
            }
            has_replies = true;
            if thread.iter().any(|node| left_out(node)) {
                continue;
            }
            ranked.sort_by_key(|&(rank, _)| rank);
            let draft = Draft::new(Kind::Ranked)
                .with("id", format!("{}/{}", self.id, node.id))
                .with("prompt", thread.iter().map(|node| node.message()).collect::<Vec<_>>())
                .with("completions", ranked.iter().map(|(_, reply)| json!([reply.message()])).collect::<Vec<_>>())
                .with("ranks", ranked.iter().map(|(rank, _)| rank.saturating_add(1)).collect::<Vec<_>>())
                .with("meta.message_tree_id", self.id.clone())
                .with("meta.message_ids", ranked.iter().map(|(_, reply)| reply.id.clone()).collect::<Vec<_>>());
            drafts.push(if unranked > 0 { draft.with("meta.unranked_reply", unranked) } else { draft });
        }
        match (drafts.is_empty(), has_replies) {
            (false, _) => Ok(drafts),
            (true, true) => Err("deleted_or_synthetic"),
            (true, false) => Err("no_ranked_replies"),
        }
    }
}

/// The messages from the root to one; none if the way does not end at a root.
fn thread<'a>(mut node: &'a Node, by_id: &HashMap<&str, &'a Node>) -> Option<Vec<&'a Node>> {
    let mut thread = vec![node];
    while let Some(parent) = &node.parent {
        node = by_id.get(parent.as_str())?;
        if thread.len() > by_id.len() {
            return None;
        }
        thread.push(node);
    }
    thread.reverse();
    Some(thread)
}

/// A thread without branches; a prompter's message at its end has no answer and is left out.
fn sft(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    let id = row.need_string("thread_id")?;
    let nodes = row.need_list_of("thread", |message, path, reading| Node::take(Fields::of(message, path, reading)?))?;
    let mut messages: Vec<_> = nodes.iter().map(|node| (node.is_prompter, node.message())).collect();
    if messages.last().is_some_and(|(is_prompter, _)| *is_prompter) {
        messages.pop();
    }
    let Some((false, answer)) = messages.pop() else {
        return Err(Reason::field(Code::NoAssistant, "thread", "it does not end with the assistant"));
    };
    let prompt: Vec<_> = messages.into_iter().map(|(_, message)| message).collect();
    let draft = Draft::new(Kind::Sft).with("id", id).with("prompt", prompt).with("completion", json!([answer]));
    Ok(draft.named("prompt", "thread").named("completion", "thread"))
}

/// Reads all shapes. The rows of one tree that are flat wait for one another.
#[derive(Debug)]
struct Trees {
    family: &'static str,
    ranked: Option<OasstRm>,
    open: Messages,
    rows: Vec<Origin>,
    rules: Rules,
    ready: Vec<Record>,
    late: Vec<(Place, Reason)>,
}

impl Trees {
    fn records(
        &self,
        tree: Messages,
        origin: &Origin,
        rest: Map<String, Value>,
        reading: &mut Reading,
    ) -> Result<Given<Record>, Reason> {
        let Some(options) = &self.ranked else {
            return tree.tree().complete(origin, None, rest, reading).map(Given::Record);
        };
        match tree.ranked(options) {
            Err(name) => Ok(Given::Filtered(name)),
            Ok(drafts) => {
                let made = drafts.into_iter().map(|draft| draft.complete(origin, None, rest.clone(), reading));
                made.collect::<Result<_, _>>().map(Given::Records)
            }
        }
    }

    /// Makes records of the open tree.
    fn close(&mut self) {
        let (tree, rows) = (std::mem::take(&mut self.open), std::mem::take(&mut self.rows));
        let Some(origin) = rows.first() else { return };
        match self.records(tree, origin, Map::new(), &mut Reading::new(self.rules.clone())) {
            Ok(Given::Record(record)) => self.ready.push(record),
            Ok(Given::Records(records)) => self.ready.extend(records),
            // Its rows were used already: a tree without ranked replies gives nothing.
            Ok(Given::Filtered(_)) => {}
            Err(reason) => self.late.extend(rows.iter().map(|origin| (origin.place, reason.clone()))),
        }
    }
}

impl RowReader for Trees {
    type Record = Record;

    fn row(&mut self, row: Row<'_>) -> Result<Given<Record>, Reason> {
        let origin = Origin::of(&row, self.family);
        let mut fields = row.fields;
        let is_message = fields.has("message_id");
        if is_message && !fields.has("replies") {
            let (id, state) = (fields.need_string("message_tree_id")?, fields.string("tree_state")?);
            let rules = fields.rules().clone();
            let node = Node::take(fields)?;
            if id != self.open.id {
                self.close();
            }
            (self.open.id, self.rules) = (id, rules);
            self.open.state = self.open.state.take().or(state);
            self.open.nodes.push(node);
            self.rows.push(origin);
            return Ok(Given::Records(Vec::new()));
        }
        self.close();
        if !is_message && fields.has("thread_id") {
            let draft = sft(&mut fields)?;
            let (rest, reading) = fields.into_parts();
            return draft.complete(&origin, None, rest, reading).map(Given::Record);
        }
        let state = fields.string("tree_state")?;
        let (id, root, path) = if is_message {
            let id = fields.get("message_tree_id").or(fields.get("message_id")).and_then(Value::as_str);
            let (id, mut root) = (id.unwrap_or_default().to_owned(), Map::new());
            for name in fields.names().map(str::to_owned).collect::<Vec<_>>() {
                root.extend(fields.take(&name).map(|value| (name, value)));
            }
            root.shift_remove("message_tree_id");
            (id, Value::Object(root), String::new())
        } else {
            (fields.need_string("message_tree_id")?, fields.need("prompt", "the root message")?, "prompt".to_owned())
        };
        let (rest, reading) = fields.into_parts();
        let nodes = Messages::nested(root, &path, reading)?;
        self.records(Messages { id, state, nodes }, &origin, rest, reading)
    }

    fn late(&mut self, end: bool) -> (Vec<Record>, Vec<(Place, Reason)>) {
        if end {
            self.close();
        }
        (std::mem::take(&mut self.ready), std::mem::take(&mut self.late))
    }
}

fn reader(family: &'static str, ranked: Option<OasstRm>) -> Reader {
    let (open, rows, rules) = (Messages::default(), Vec::new(), Rules::default());
    Reader::new(Trees { family, ranked, open, rows, rules, ready: Vec::new(), late: Vec::new() })
}

impl Source for Oasst {
    fn name(&self) -> &str {
        "oasst"
    }

    fn about(&self) -> &str {
        "OpenAssistant: trees of messages, replies ranked by people"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        let message = has_all(row, &["message_id", "role", "text"]);
        message || has_all(row, &["thread_id", "thread"]) || has_all(row, &["message_tree_id", "prompt"])
    }

    fn reader(&self) -> Reader {
        reader("oasst", None)
    }
}

impl Source for OasstRm {
    fn name(&self) -> &str {
        "oasst_rm"
    }

    fn about(&self) -> &str {
        "OpenAssistant, the ranked replies of each thread; by name only"
    }

    fn sniff(&self, _: &Map<String, Value>) -> bool {
        false
    }

    fn reader(&self) -> Reader {
        reader("oasst_rm", Some(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn message(id: &str, role: &str, rank: Value, replies: &[Value]) -> Value {
        json!({"message_id": id, "text": format!("says {id}"), "role": role, "lang": "en", "review_result": true,
            "deleted": false, "rank": rank, "synthetic": false, "emojis": {"+1": 3}, "replies": replies})
    }

    fn replies() -> Vec<Value> {
        let second = message(
            "p2",
            "prompter",
            Value::Null,
            &[message("a3", "assistant", json!(0), &[]), message("a4", "assistant", json!(1), &[])],
        );
        vec![
            message("a1", "assistant", json!(1), &[]),
            message("a2", "assistant", json!(0), &[second]),
            message("a0", "assistant", Value::Null, &[]),
        ]
    }

    fn tree() -> Value {
        json!({"message_tree_id": "p1", "tree_state": "ready_for_export",
            "prompt": message("p1", "prompter", Value::Null, &replies())})
    }

    #[test]
    fn a_tree_is_flat_and_its_prompt_is_the_roots_text() {
        let record = one(&Oasst, tree());
        assert_eq!(
            (&record["kind"], &record["prompt"], &record["root_id"]),
            (&json!("tree"), &json!("says p1"), &json!("p1"))
        );
        let nodes = record["nodes"].as_array().unwrap();
        let ids: Vec<_> = nodes.iter().map(|node| node["node_id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["p1", "a1", "a2", "p2", "a3", "a4", "a0"]);
        assert_eq!(
            (&nodes[0]["text"], &nodes[3]["parent_id"], &nodes[1]["rank"]),
            (&json!(""), &json!("a2"), &json!(1))
        );
        assert_eq!((&nodes[3]["role"], &nodes[1]["text"]), (&json!("user"), &json!("says a1")));
        assert_eq!(record["meta"]["messages"]["a1"], json!({"lang": "en", "emojis": {"+1": 3}}));
        assert_eq!((&record["id"], &record["meta"]["tree_state"]), (&json!("p1"), &json!("ready_for_export")));
    }

    #[test]
    fn rank_0_is_best_and_replies_without_rank_are_counted() {
        let (records, report) = load(&OasstRm::default(), &[tree()]);
        assert_eq!((records.len(), report.used), (2, 1));
        let said = |record: &Value| -> Vec<String> {
            record["completions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|text| text[0]["content"].as_str().unwrap().into())
                .collect()
        };
        assert_eq!(said(&records[0]), ["says a2", "says a1"]);
        assert_eq!((&records[0]["ranks"], &records[0]["meta"]["unranked_reply"]), (&json!([1, 2]), &json!(1)));
        assert_eq!(records[1]["prompt"].as_array().unwrap().len(), 3);
        assert_eq!(
            (said(&records[1]), records[1]["meta"].get("unranked_reply")),
            (vec!["says a3".into(), "says a4".into()], None)
        );
    }

    #[test]
    fn every_rule_of_the_selection_has_its_name() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut row = tree();
            change(&mut row);
            let (records, report) = load(&OasstRm::default(), &[tree(), row]);
            (records.len() - 2, report.filtered.keys().copied().next())
        };
        assert_eq!(with(&|row| row["tree_state"] = json!("growing")), (0, Some("tree_state")));
        assert_eq!(with(&|row| row["prompt"]["review_result"] = json!(false)), (0, Some("review_result")));
        assert_eq!(with(&|row| row["prompt"]["lang"] = json!("de")), (0, Some("lang")));
        assert_eq!(with(&|row| row["prompt"]["deleted"] = json!(true)), (0, Some("deleted_or_synthetic")));
        assert_eq!(with(&|row| row["prompt"]["replies"] = json!([])), (0, Some("no_ranked_replies")));
        // A synthetic message in the middle takes the later thread along, not the earlier.
        assert_eq!(with(&|row| row["prompt"]["replies"][1]["replies"][0]["synthetic"] = json!(true)), (1, None));
        // A reply that was deleted is no completion; one ranked reply is too few.
        assert_eq!(with(&|row| row["prompt"]["replies"][0]["deleted"] = json!(true)), (1, None));
        let mut row = tree();
        row["prompt"]["synthetic"] = json!(true);
        assert_eq!(load(&OasstRm::all(), &[row]).0.len(), 2);
    }

    /// The rows of the flat export, depth first.
    fn flat() -> Vec<Value> {
        let mut reading = Reading::default();
        let nodes = Messages::nested(tree()["prompt"].clone(), "", &mut reading).unwrap();
        let row = |node: &Node| {
            json!({"message_id": node.id, "parent_id": node.parent, "message_tree_id": "p1", "text": node.text,
                "tree_state": "ready_for_export", "role": if node.is_prompter { "prompter" } else { "assistant" },
                "rank": node.rank, "lang": "en", "review_result": true, "deleted": false, "synthetic": false,
                "emojis": {"name": ["+1"], "count": [3]},
                "labels": {"name": ["spam", "quality"], "value": [0.0, 0.5], "count": [3, 2]}})
        };
        nodes.iter().map(row).collect()
    }

    #[test]
    fn flat_rows_make_the_same_tree() {
        let other = but(&flat()[0], json!({"message_id": "z", "message_tree_id": "z"}));
        let (records, report) = load(&Oasst, &[flat(), vec![other]].concat());
        assert_eq!((records.len(), report.used, report.records), (2, 8, 2));
        let nested = one(&Oasst, tree());
        assert_eq!(records[0]["prompt"], nested["prompt"]);
        assert_eq!(records[0]["nodes"][5]["node_id"], nested["nodes"][5]["node_id"]);
        assert_eq!(records[0]["meta"]["messages"]["a1"]["emojis"], json!({"+1": 3}));
        assert_eq!(records[0]["nodes"][1]["labels"]["quality"], json!({"value": 0.5, "count": 2}));
        assert_eq!(load(&OasstRm::default(), &flat()).0.len(), 2);
    }

    #[test]
    fn flat_rows_with_a_lost_parent_or_a_cycle_are_rejected_together() {
        let mut rows = flat();
        rows[3]["parent_id"] = json!("nobody");
        rows.push(but(&flat()[0], json!({"message_id": "z", "message_tree_id": "z"})));
        let (records, report) = load(&Oasst, &rows);
        assert_eq!((records.len(), report.count(Code::Orphan), report.used), (1, 7, 1));
        rows[3]["parent_id"] = json!("a3");
        assert_eq!(load(&Oasst, &rows).1.count(Code::Cycle), 7);
        // The ranked replies of a cycle have no thread; the others are kept.
        assert_eq!(load(&OasstRm::default(), &rows).0.len(), 1);
    }

    #[test]
    fn a_message_with_its_replies_inside_is_a_tree() {
        let record = one(&Oasst, message("p1", "prompter", Value::Null, &replies()));
        assert_eq!((&record["id"], record["nodes"].as_array().unwrap().len()), (&json!("p1"), 7));
    }

    #[test]
    fn a_thread_ends_with_the_assistant() {
        let said = |id: &str, role: &str| json!({"message_id": id, "text": id, "role": role});
        let thread = |last: &[Value]| {
            let all = [&[said("q", "prompter"), said("a", "assistant")], last].concat();
            json!({"thread_id": "t", "thread": all})
        };
        let record = one(&Oasst, thread(&[]));
        assert_eq!((&record["kind"], &record["completion"][0]["content"]), (&json!("sft"), &json!("a")));
        assert_eq!(one(&Oasst, thread(&[said("r", "prompter")]))["completion"][0]["content"], "a");
        let twice = thread(&[said("r", "prompter"), said("s", "prompter")]);
        assert_eq!(reason(&Oasst, twice), "E_NO_ASSISTANT: field `thread`: it does not end with the assistant");
    }

    #[test]
    fn an_unknown_role_is_named_with_its_place() {
        let mut row = tree();
        row["prompt"]["replies"][1]["replies"][0]["role"] = json!("critic");
        let told = reason(&Oasst, row);
        assert_eq!(
            told,
            "E_ROLE: field `prompt.replies[1].replies[0].role`: expected prompter or assistant, found `critic`"
        );
    }
}
