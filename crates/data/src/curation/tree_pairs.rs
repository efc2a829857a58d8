//! Pairs from trees: of search over steps, and of conversations with ranked replies.
//!
//! **Papers:** step pairs of search trees, Step-level Value Preference Optimization (2024), 2406.10858, and Monte Carlo
//! Tree Search Boosts Reasoning via Iterative Preference Learning (2024), 2405.00451; success rates of descendants,
//! Tree-PLV (2024), 2407.00390.
//! **Use when:** a tree says which of several continuations went well.
//! **Deviations:** a full-path pair is that of the two terminals with the longest common path, of equal ones the widest
//! gap.

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{HasId, HasMeta, HasPrompt, Preference, plain_text},
    numbers::{check_domain, check_finite, keyed_stream},
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each, options_of},
    ranked_pairs::{PairScheme, list_pairs},
};
use crate::{
    Message, Pair, Result,
    text::{Role, Text},
};
use rand::Rng;

/// A node of a tree, as this operator sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TreeNode {
    /// Its parent's place in the list of nodes; none for the root.
    pub parent: Option<usize>,
    /// What is said, or done, there.
    pub text: String,
    /// Who says it, in a conversation.
    pub role: Option<Role>,
    /// Its value, or the sum of the values of its visits.
    pub value: Option<f64>,
    /// How often the search came by.
    pub visits: Option<u64>,
    /// Its reward.
    pub reward: Option<f64>,
    /// Its place among its siblings, 0 for the best.
    pub rank: Option<u32>,
    /// Whether an answer ends here.
    pub terminal: bool,
    /// Whether that answer is right.
    pub correct: Option<bool>,
}

/// A record that is a tree.
pub trait SearchTree: HasId + HasPrompt {
    /// The nodes, in any order, with one root.
    fn nodes(&self) -> Vec<TreeNode>;
}

/// By what siblings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKey {
    /// The value.
    Value,
    /// The rank, small ones first.
    Rank,
    /// The visits.
    Visits,
    /// The reward.
    Reward,
    /// The share of right answers among the terminals below, and the node itself if it is one.
    SubtreeCorrectRate,
}

/// How much of a path is a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// One node; the prompt holds the path that leads there.
    #[default]
    Step,
    /// All from the root to a terminal; one pair a tree.
    FullPath,
}

/// Nodes in the order of their distance from the root, with what is known of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree<'a> {
    nodes: &'a [TreeNode],
    /// Places of the nodes that the root reaches, nearest first.
    order: Vec<usize>,
    children: Vec<Vec<usize>>,
    depths: Vec<usize>,
}

impl<'a> Tree<'a> {
    /// The tree of a list of nodes; none where there is not one root. Nodes that it does not reach are left out.
    pub fn new(nodes: &'a [TreeNode]) -> Option<Self> {
        let mut children = vec![Vec::new(); nodes.len()];
        let mut roots = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            match node.parent {
                None => roots.push(place),
                Some(parent) => children.get_mut(parent).into_iter().for_each(|own: &mut Vec<usize>| own.push(place)),
            }
        }
        let [root] = roots[..] else { return None };
        let (mut order, mut depths) = (vec![root], vec![0; nodes.len()]);
        let mut next = 0;
        while let Some(&place) = order.get(next) {
            for &child in &children[place] {
                depths[child] = depths[place] + 1;
                order.push(child);
            }
            next += 1;
        }
        Some(Self { nodes, order, children, depths })
    }

    /// The places from below the root to a node.
    fn path(&self, mut place: usize) -> Vec<usize> {
        let mut path = Vec::new();
        while let Some(parent) = self.nodes[place].parent {
            path.push(place);
            place = parent;
        }
        path.reverse();
        path
    }

    /// For each node: terminals at it and below, with how many of them are right.
    pub fn outcomes(&self) -> Vec<(usize, usize)> {
        let mut outcomes = vec![(0, 0); self.nodes.len()];
        for &place in self.order.iter().rev() {
            let node = &self.nodes[place];
            if let Some(correct) = node.correct.filter(|_| node.terminal) {
                outcomes[place].0 += 1;
                outcomes[place].1 += usize::from(correct);
            }
            if let Some(parent) = node.parent {
                outcomes[parent].0 += outcomes[place].0;
                outcomes[parent].1 += outcomes[place].1;
            }
        }
        outcomes
    }

    /// The number by which each node is compared, larger for better ones; none where the tree does not say it.
    pub fn numbers(&self, key: NodeKey, value_is_sum: bool) -> Vec<Option<f64>> {
        let outcomes = self.outcomes();
        let number = |(place, node): (usize, &TreeNode)| match key {
            NodeKey::Value if value_is_sum => node.value.zip(node.visits).map(|(sum, visits)| sum / visits as f64),
            NodeKey::Value => node.value,
            NodeKey::Rank => node.rank.map(|rank| -f64::from(rank)),
            NodeKey::Visits => node.visits.map(|visits| visits as f64),
            NodeKey::Reward => node.reward,
            NodeKey::SubtreeCorrectRate => Some(outcomes[place].1 as f64 / outcomes[place].0 as f64),
        };
        let numbers = self.nodes.iter().enumerate().map(number);
        numbers.map(|number| number.filter(|number| number.is_finite())).collect()
    }

    /// Groups of siblings with numbers, two and more each: the parent, the children and their numbers.
    pub fn sibling_groups(&self, numbers: &[Option<f64>], min_visits: u64) -> Vec<(usize, Vec<usize>, Vec<f64>)> {
        let group = |&parent: &usize| {
            let visited =
                |place: &usize| min_visits == 0 || self.nodes[*place].visits.is_some_and(|visits| visits >= min_visits);
            let known = self.children[parent].iter().copied().filter(visited);
            let (places, values): (Vec<_>, Vec<_>) = known.filter_map(|place| Some((place, numbers[place]?))).unzip();
            (places.len() > 1).then_some((parent, places, values))
        };
        self.order.iter().filter_map(group).collect()
    }
}

/// Makes pairs of trees.
///
/// The prompt of a pair is the tree's prompt and the path to the siblings. Where nodes have roles, each is a message;
/// else texts are joined by `separator`. A root that only repeats the prompt, or says nothing, is not said twice. The
/// margin is the difference of the numbers. Reasons: `no_root` unless there is one root, `no_pair`. Counts: `tied`,
/// `small_gap`, `same_outcome`, `over_limit`, `invalid`. Written: `meta.depth`, how many nodes the two share below the
/// root, and `meta.tree_id`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TreePairs {
    /// By what siblings are compared.
    pub key: NodeKey,
    /// Which siblings make pairs. Default: the best and the worst.
    pub scheme: PairScheme,
    /// How much is a completion. Default: one node.
    pub granularity: Granularity,
    /// Least difference of the numbers. Default: 0, which ties do not reach.
    pub min_value_gap: f64,
    /// Most pairs of a node, the first ones. Default: none.
    pub max_pairs_per_node: Option<usize>,
    /// Largest depth of siblings; children of the root have 1. Default: none.
    pub max_depth: Option<usize>,
    /// Least visits of a node. Default: 0.
    pub min_visits: u64,
    /// Whether a pair is made only where some answer below the chosen node is right and none below the rejected one.
    /// Default: false.
    pub require_outcome_difference: bool,
    /// Whether values are sums over visits. Default: false.
    pub value_is_sum: bool,
    /// Between the texts of a path without roles. Default: a line break.
    pub separator: String,
}

impl TreePairs {
    /// With the defaults.
    pub fn new(key: NodeKey) -> Self {
        Self {
            key,
            scheme: PairScheme::BestVsWorst,
            granularity: Granularity::Step,
            min_value_gap: 0.0,
            max_pairs_per_node: None,
            max_depth: None,
            min_visits: 0,
            require_outcome_difference: false,
            value_is_sum: false,
            separator: "\n".to_owned(),
        }
    }

    fn pairs_of<T: SearchTree>(
        &self,
        record: &T,
        tree: &Tree<'_>,
        seed: u64,
        report: &mut OperatorReport,
    ) -> Vec<Pair> {
        let numbers = tree.numbers(self.key, self.value_is_sum);
        if self.granularity == Granularity::FullPath {
            return self.full_paths(record, tree, &numbers, report).into_iter().collect();
        }
        let outcomes = tree.outcomes();
        let mut pairs = Vec::new();
        let mut rng = keyed_stream(seed, "tree_pairs", &format!("{} {}", record.id(), plain_text(record.prompt())));
        for (parent, children, values) in tree.sibling_groups(&numbers, self.min_visits) {
            if self.max_depth.is_some_and(|max| tree.depths[parent] + 1 > max) {
                continue;
            }
            let mut made = 0;
            // The numbers are finite.
            for two in list_pairs(&values, self.scheme, |below| rng.random_range(0..below)).unwrap_or_default() {
                let (chosen, rejected) = (children[two.chosen], children[two.rejected]);
                let gap = values[two.chosen] - values[two.rejected];
                let differs = outcomes[chosen].1 > 0 && outcomes[rejected].0 > 0 && outcomes[rejected].1 == 0;
                let reason = if two.tied {
                    Some("tied")
                } else if gap < self.min_value_gap {
                    Some("small_gap")
                } else if self.require_outcome_difference && !differs {
                    Some("same_outcome")
                } else if self.max_pairs_per_node.is_some_and(|max| made >= max) {
                    Some("over_limit")
                } else {
                    None
                };
                if let Some(reason) = reason {
                    report.add(reason);
                    continue;
                }
                let path = tree.path(parent);
                match self.pair(record, tree, &path, (&[chosen], &[rejected]), gap) {
                    None => report.add("invalid"),
                    Some(pair) => {
                        pairs.push(pair);
                        made += 1;
                    }
                }
            }
        }
        pairs
    }

    fn full_paths<T: SearchTree>(
        &self,
        record: &T,
        tree: &Tree<'_>,
        numbers: &[Option<f64>],
        report: &mut OperatorReport,
    ) -> Option<Pair> {
        let usable = |place: &usize| {
            let node = &tree.nodes[*place];
            node.terminal && (self.min_visits == 0 || node.visits.is_some_and(|visits| visits >= self.min_visits))
        };
        let terminals = tree.order.iter().copied().filter(usable);
        let paths: Vec<(Vec<usize>, f64, usize)> =
            terminals.filter_map(|place| Some((tree.path(place), numbers[place]?, place))).collect();
        let mut found: Option<(usize, f64, usize, usize)> = None;
        for (i, (one, first, a)) in paths.iter().enumerate() {
            for (j, (other, second, b)) in paths.iter().enumerate() {
                let gap = first - second;
                let correct = |place: &usize| tree.nodes[*place].correct;
                let differs = correct(a) == Some(true) && correct(b) == Some(false);
                if gap <= 0.0 || gap < self.min_value_gap || (self.require_outcome_difference && !differs) {
                    continue;
                }
                let shared = one.iter().zip(other).take_while(|(x, y)| x == y).count();
                if found.is_none_or(|(most, widest, ..)| (shared, gap) > (most, widest)) {
                    found = Some((shared, gap, i, j));
                }
            }
        }
        let (shared, gap, i, j) = found?;
        let pair = self.pair(record, tree, &[], (&paths[i].0, &paths[j].0), gap);
        if pair.is_none() {
            report.add("invalid");
        }
        pair.map(|mut pair| {
            pair.meta_mut().insert("depth".to_owned(), shared.into());
            pair
        })
    }

    fn pair<T: SearchTree>(
        &self,
        record: &T,
        tree: &Tree<'_>,
        path: &[usize],
        sides: (&[usize], &[usize]),
        gap: f64,
    ) -> Option<Pair> {
        let root = *tree.order.first()?;
        let says = |place: usize| tree.nodes[place].text.trim();
        let repeats = says(root).is_empty() || says(root) == plain_text(record.prompt()).trim();
        let opening = Some(root).filter(|_| !repeats);
        let before: Vec<usize> = opening.into_iter().chain(path.iter().copied()).collect();
        let roles = before.iter().chain(sides.0).chain(sides.1).all(|place| tree.nodes[*place].role.is_some());
        let message = |place: &usize| Some(Message::new(tree.nodes[*place].role?, tree.nodes[*place].text.clone()));
        let joined = |places: &[usize]| {
            places.iter().map(|place| &tree.nodes[*place].text[..]).collect::<Vec<_>>().join(&self.separator)
        };
        let text = |places: &[usize]| match roles {
            true => Text::Messages(places.iter().filter_map(message).collect()),
            false => Text::Plain(joined(places)),
        };
        let prompt = match (record.prompt(), roles) {
            (Text::Plain(prompt), false) => {
                let parts: Vec<String> =
                    [prompt.clone(), joined(&before)].into_iter().filter(|part| !part.is_empty()).collect();
                Text::Plain(parts.join(&self.separator))
            }
            (Text::Plain(prompt), true) => {
                let first = Some(Message::new(Role::User, prompt.clone())).filter(|_| !prompt.trim().is_empty());
                Text::Messages(first.into_iter().chain(before.iter().filter_map(message)).collect())
            }
            (Text::Messages(messages), true) => {
                Text::Messages(messages.iter().cloned().chain(before.iter().filter_map(message)).collect())
            }
            // Steps of an answer to a conversation: what was said before is one message, and so are the sides.
            (Text::Messages(messages), false) if before.is_empty() => Text::Messages(messages.clone()),
            (Text::Messages(_), false) => return None,
        };
        let side = |places: &[usize]| match (&prompt, text(places)) {
            (Text::Messages(_), Text::Plain(text)) => Text::Messages(vec![Message::new(Role::Assistant, text)]),
            (_, text) => text,
        };
        let mut pair = Pair::new(prompt.clone(), side(sides.0), side(sides.1)).ok()?;
        pair.set_margin(Some(gap));
        pair.meta_mut().insert("depth".to_owned(), path.len().into());
        if !record.id().is_empty() {
            pair.meta_mut().insert("tree_id".to_owned(), record.id().to_owned().into());
        }
        Some(pair)
    }
}

impl<T: SearchTree> Operator<T> for TreePairs {
    type Out = Pair;

    fn name(&self) -> &'static str {
        "tree_pairs"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_finite("min_value_gap", self.min_value_gap)?;
        check_domain(self.min_value_gap >= 0.0, "min_value_gap", "at least 0", self.min_value_gap)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Pair>> {
        apply_each(self, records, seed)
    }
}

impl<T: SearchTree> RecordOperator<T> for TreePairs {
    fn judge(&self, record: T, seed: u64, report: &mut OperatorReport) -> Verdict<T, Pair> {
        let nodes = record.nodes();
        let Some(tree) = Tree::new(&nodes) else { return Verdict::Drop(record, "no_root") };
        let pairs = self.pairs_of(&record, &tree, seed, report);
        Verdict::many_or(pairs, record, "no_pair")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone)]
    struct Search(Text, Vec<TreeNode>);

    impl HasId for Search {
        fn id(&self) -> &str {
            "t1"
        }
    }

    impl HasPrompt for Search {
        fn prompt(&self) -> &Text {
            &self.0
        }
    }

    impl SearchTree for Search {
        fn nodes(&self) -> Vec<TreeNode> {
            self.1.clone()
        }
    }

    fn node(parent: Option<usize>, text: &str, value: f64) -> TreeNode {
        TreeNode { parent, text: text.into(), value: Some(value), ..TreeNode::default() }
    }

    fn answer(parent: usize, text: &str, value: f64, correct: bool) -> TreeNode {
        TreeNode { terminal: true, correct: Some(correct), ..node(Some(parent), text, value) }
    }

    /// A root with s (0.75) and t (0.1); below s: u (right, 1.0), v (wrong, 0.5), w (wrong, 0.5); below t: x (wrong,
    /// 0).
    fn search() -> Search {
        let nodes = vec![
            node(None, "", 0.0),
            node(Some(0), "s", 0.75),
            node(Some(0), "t", 0.1),
            answer(1, "u", 1.0, true),
            answer(1, "v", 0.5, false),
            answer(1, "w", 0.5, false),
            answer(2, "x", 0.0, false),
        ];
        Search("Q".into(), nodes)
    }

    fn made(options: &TreePairs, search: Search) -> (Vec<(String, String, String, f64)>, OperatorReport) {
        let curated = options.apply(vec![search], 0).unwrap();
        assert!(curated.report.is_conserved());
        let row = |pair: &Pair| {
            let [prompt, chosen, rejected] = [&pair.prompt, &pair.chosen, &pair.rejected].map(plain_text);
            (prompt, chosen, rejected, pair.margin.unwrap())
        };
        (curated.records.iter().map(row).collect(), curated.report)
    }

    fn row(prompt: &str, chosen: &str, rejected: &str, gap: f64) -> (String, String, String, f64) {
        (prompt.into(), chosen.into(), rejected.into(), gap)
    }

    #[test]
    fn siblings_make_pairs_after_their_common_path() {
        let all = TreePairs { scheme: PairScheme::All, ..TreePairs::new(NodeKey::Value) };
        let (pairs, report) = made(&all, search());
        assert_eq!(pairs, [row("Q", "s", "t", 0.65), row("Q\ns", "u", "v", 0.5), row("Q\ns", "u", "w", 0.5)]);
        assert_eq!(report.count("tied"), 1);
        let one = TreePairs { max_pairs_per_node: Some(1), ..all.clone() };
        let (pairs, report) = made(&one, search());
        assert_eq!((pairs.len(), report.count("over_limit")), (2, 1));
        let (pairs, report) = made(&TreePairs { min_value_gap: 0.6, ..all.clone() }, search());
        assert_eq!((pairs, report.count("small_gap")), (vec![row("Q", "s", "t", 0.65)], 2));
        let (pairs, _) = made(&TreePairs { max_depth: Some(1), ..all.clone() }, search());
        assert_eq!(pairs, [row("Q", "s", "t", 0.65)]);
        let curated = all.apply(vec![search()], 0).unwrap();
        let depths: Vec<_> = curated.records.iter().map(|pair| pair.envelope.meta["depth"].as_u64().unwrap()).collect();
        assert_eq!((depths, &curated.records[0].envelope.meta["tree_id"]), (vec![0, 1, 1], &"t1".into()));
    }

    #[test]
    fn keys_compare_by_what_they_say() {
        let tree = |change: &dyn Fn(&mut [TreeNode])| {
            let mut search = search();
            change(&mut search.1);
            search
        };
        let first = |options: TreePairs, search: Search| made(&options, search).0.first().cloned();
        // Of s one of three answers is right, of t none of one.
        assert_eq!(first(TreePairs::new(NodeKey::SubtreeCorrectRate), search()), Some(row("Q", "s", "t", 1.0 / 3.0)));
        let ranked = tree(&|nodes| (nodes[1].rank, nodes[2].rank) = (Some(1), Some(0)));
        assert_eq!(first(TreePairs::new(NodeKey::Rank), ranked), Some(row("Q", "t", "s", 1.0)));
        let rewarded = tree(&|nodes| (nodes[1].reward, nodes[2].reward) = (Some(1.0), Some(3.0)));
        assert_eq!(first(TreePairs::new(NodeKey::Reward), rewarded), Some(row("Q", "t", "s", 2.0)));
        let visited = tree(&|nodes| (nodes[1].visits, nodes[2].visits) = (Some(4), Some(2)));
        assert_eq!(first(TreePairs::new(NodeKey::Visits), visited.clone()), Some(row("Q", "s", "t", 2.0)));
        // 0.75 / 4 = 0.1875 and 1 / 2 = 0.5
        let sums = tree(&|nodes| {
            (nodes[1].visits, nodes[2].visits, nodes[2].value) = (Some(4), Some(2), Some(1.0));
        });
        let by_sum = TreePairs { value_is_sum: true, ..TreePairs::new(NodeKey::Value) };
        assert_eq!(first(by_sum, sums), Some(row("Q", "t", "s", 0.3125)));
        let often = TreePairs { min_visits: 3, ..TreePairs::new(NodeKey::Visits) };
        assert_eq!(first(often, visited), None);
        assert_eq!(first(TreePairs::new(NodeKey::Reward), search()), None);
    }

    #[test]
    fn outcomes_have_to_differ_where_that_is_asked_for() {
        let strict =
            TreePairs { require_outcome_difference: true, scheme: PairScheme::All, ..TreePairs::new(NodeKey::Value) };
        let (pairs, report) = made(&strict, search());
        assert_eq!((pairs.len(), report.count("same_outcome")), (3, 0));
        let mut both = search();
        both.1[6].correct = Some(true);
        let (pairs, report) = made(&strict, both);
        assert_eq!((pairs.len(), report.count("same_outcome")), (2, 1), "an answer below t is right too");
        let mut unknown = search();
        unknown.1[6].correct = None;
        assert_eq!(made(&strict, unknown).1.count("same_outcome"), 1);
    }

    #[test]
    fn full_paths_share_as_much_as_they_can() {
        let full = TreePairs { granularity: Granularity::FullPath, ..TreePairs::new(NodeKey::Value) };
        assert_eq!(made(&full, search()).0, [row("Q", "s\nu", "s\nv", 0.5)], "x is worse, but shares less");
        let wide = TreePairs { min_value_gap: 0.8, ..full.clone() };
        assert_eq!(made(&wide, search()).0, [row("Q", "s\nu", "t\nx", 1.0)]);
        let depth = full.apply(vec![search()], 0).unwrap().records[0].envelope.meta["depth"].clone();
        assert_eq!(depth, 1);
        let mut same = search();
        same.1[4].correct = Some(true);
        let strict = TreePairs { require_outcome_difference: true, ..full };
        assert_eq!(made(&strict, same).0, [row("Q", "s\nu", "s\nw", 0.5)]);
    }

    #[test]
    fn conversations_are_messages_and_the_root_is_not_said_twice() {
        let say =
            |parent, role, text: &str, rank| TreeNode { role: Some(role), rank: Some(rank), ..node(parent, text, 0.0) };
        let nodes = vec![
            say(None, Role::User, "Q", 0),
            say(Some(0), Role::Assistant, "good", 0),
            say(Some(0), Role::Assistant, "bad", 1),
            say(Some(1), Role::User, "more", 0),
            say(Some(3), Role::Assistant, "second", 1),
            say(Some(3), Role::Assistant, "first", 0),
        ];
        for prompt in ["Q", ""] {
            let curated = TreePairs::new(NodeKey::Rank).apply(vec![Search(prompt.into(), nodes.clone())], 0).unwrap();
            let [one, two] = &curated.records[..] else { panic!("two pairs") };
            assert_eq!(one.prompt, Text::Messages(vec![Message::new(Role::User, "Q")]), "{prompt}");
            assert_eq!(plain_text(&two.prompt), "Q\ngood\nmore");
            assert_eq!((plain_text(&two.chosen), plain_text(&two.rejected)), ("first".into(), "second".into()));
        }
    }

    #[test]
    fn lists_that_are_no_tree_are_named() {
        let drop =
            |nodes| TreePairs::new(NodeKey::Value).apply(vec![Search("Q".into(), nodes)], 0).unwrap().dropped[0].reason;
        assert_eq!(drop(vec![]), "no_root");
        assert_eq!(drop(vec![node(None, "", 0.0), node(None, "", 0.0)]), "no_root");
        // A cycle off the root, and a parent that is not there, reach nothing.
        let odd = vec![node(None, "", 0.0), node(Some(2), "a", 1.0), node(Some(1), "b", 2.0), node(Some(9), "c", 1.0)];
        assert_eq!(drop(odd), "no_pair");
        let negative = TreePairs { min_value_gap: -1.0, ..TreePairs::new(NodeKey::Value) };
        assert!(negative.apply(Vec::<Search>::new(), 0).unwrap_err().to_string().starts_with("`min_value_gap`"));
    }
}
