//! What templates render, and what they must not do.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Role, message::ToolCall};

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source, "test").unwrap()
}

/// Renders a source with variables.
fn render(source: &str, variables: Value) -> Result<String, String> {
    let kwargs = variables.as_object().cloned().unwrap_or_default();
    let conversation = Conversation { kwargs, ..Conversation::default() };
    template(source).render(&conversation).map(|rendered| rendered.text).map_err(|reason| reason.to_string())
}

#[test]
fn json_is_what_python_writes() {
    let value =
        json!({"b": "<a & 'é'\u{7f}\u{1}>", "a": [1, 1.0, 1e16, 1.5e-5, 123456789.25, true, null], "c": {}, "d": []});
    let expected = "{\"b\": \"<a & 'é'\u{7f}\\u0001>\", \"a\": [1, 1.0, 1e+16, 1.5e-05, 123456789.25, true, null], \"c\": {}, \"d\": []}";
    assert_eq!(render("{{ x | tojson }}", json!({"x": value})).unwrap(), expected);
    let indented = "{\n  \"b\": [\n    1,\n    {}\n  ]\n}";
    assert_eq!(render("{{ x | tojson(indent=2) }}", json!({"x": {"b": [1, {}]}})).unwrap(), indented);
    let compact =
        render("{{ x | tojson(separators=(',', ':'), sort_keys=true) }}", json!({"x": {"b": 1, "a": [2, 3]}}));
    assert_eq!(compact.unwrap(), "{\"a\":[2,3],\"b\":1}");
    assert_eq!(
        render("{{ x | tojson(ensure_ascii=true) }}", json!({"x": "é🙂"})).unwrap(),
        "\"\\u00e9\\ud83d\\ude42\""
    );
    assert_eq!(render("{{ x | tojson(indent='\t') }}", json!({"x": [1]})).unwrap(), "[\n\t1\n]");
    assert!(render("{{ x | tojson(indent=65) }}", json!({"x": [1]})).unwrap_err().contains("indent"));
    assert!(render("{{ x | tojson(color=1) }}", json!({"x": [1]})).is_err());
}

#[test]
fn white_space_is_what_python_calls_so() {
    let x = json!({"x": "\u{1c} \u{a0}a\u{1f}\n"});
    assert_eq!(render("{{ x | trim }}|{{ x.strip() }}|{{ x.lstrip() | length }}", x).unwrap(), "a|a|3");
    let y = json!({"y": "--a-"});
    assert_eq!(render("{{ y.strip('-') }}|{{ y.rstrip('-') }}|{{ y.lstrip('-') }}", y.clone()).unwrap(), "a|--a|a-");
    assert_eq!(render("{{ y | trim('-') }}", y).unwrap(), "a");
}

#[test]
fn methods_of_strings_are_there() {
    let x = json!({"x": "a::b::c"});
    let cases = [
        ("{{ x.rsplit('::', 1)[0] }}", "a::b"),
        ("{{ x.rsplit('::') | length }}", "3"),
        ("{{ x.partition('::')[2] }}", "b::c"),
        ("{{ x.rpartition('::')[0] }}", "a::b"),
        ("{{ x.partition('?')[0] }}{{ x.rpartition('?')[2] }}", "a::ba::b".replace("a::b", "a::b::c").as_str()),
        ("{{ x.removeprefix('a') }}{{ x.removesuffix('c') }}{{ x.removeprefix('z') }}", "::b::ca::b::a::b::c"),
        ("{{ x.split('::')[-1] }}{{ x.startswith('a') }}{{ x.endswith('a') }}", "cTrueFalse"),
        ("{{ x.title() }} {{ 'no 3D'.title() }} {{ '{}-{}'.format(1, 'z') }}", "A::B::C No 3D 1-z"),
    ]
    .map(|(source, expected)| (source, expected.to_owned()));
    for (source, expected) in cases {
        assert_eq!(render(source, x.clone()).unwrap(), expected, "{source}");
    }
    assert!(render("{{ x.rsplit() }}", x.clone()).is_err());
    assert!(render("{{ x.partition('') }}", x).is_err());
}

#[test]
fn the_jinja_that_templates_use_is_there() {
    let x = json!({"l": [3, 1, 2], "s": "abc", "d": {"b": 1, "a": 2}, "m": [{"k": 1, "n": "x"}, {"k": 2}]});
    let cases = [
        ("{{ l[::-1] | join(',') }}{{ l[1:] | first }}{{ s[::-1] }}", "2,1,31cba"),
        (
            "{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% if i == 2 %}{% break %}{% endif %}{% endfor %}",
            "32",
        ),
        ("{% set ns = namespace(n=0) %}{% for i in l %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "6"),
        ("{% macro f(a, b=2) %}{{ a + b }}{% endmacro %}{{ f(1) }}{{ f(1, b=5) }}", "36"),
        (
            "{% for k, v in d | items %}{{ k }}{{ v }}{% endfor %}{% for k, v in d | dictsort %}{{ k }}{% endfor %}",
            "b1a2ab",
        ),
        ("{% for k, v in d.items() %}{{ k }}{% endfor %}{{ d.get('z', 7) }}{{ 'a' in d }}", "ba7True"),
        (
            "{{ m | selectattr('n', 'defined') | list | length }}{{ m | rejectattr('k', 'equalto', 1) | map(attribute='k') | list }}",
            "1[2]",
        ),
        ("{{ nope | default('z') }}{{ '' | default('y', true) }}{{ '7' | int + 1 }}{{ 1.5 | string }}", "zy81.5"),
        (
            "{{ s is string }}{{ s is sequence }}{{ d is sequence }}{{ l is iterable }}{{ s is iterable }}{{ d is mapping }}",
            "TrueTrueTrueTrueTrueTrue",
        ),
        (
            "{{ 1 is number }}{{ none is none }}{{ true is true }}{{ false is false }}{{ 1 is sequence }}",
            "TrueTrueTrueTrueFalse",
        ),
        ("{{ none }}{{ true }}{{ nope }}{{ [1, 'a', none] }}", "NoneTrue[1, 'a', None]"),
        ("{{ 'a\nb\n\n' | indent(2) }}", "a\n  b\n\n"),
        ("{{ 'a\n\nb' | indent(width='>', first=true, blank=true) }}{{ 'a\nb' | indent }}", ">a\n>\n>ba\n    b"),
        (
            "{{ '%s-%03d' | format('a', 7) }}{{ ','.join(['a', 1]) }}{{ 'aaa' | replace('a', 'b', 2) }}{{ 'aaa'.replace('a', 'b', 1) }}",
            "a-007a,1bbabaa",
        ),
        ("{{ m | join(',', attribute='k') }}{{ l | join(d='+') }}", "1,23+1+2"),
        ("a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc"),
        (
            "{% set q %}x{{ 1 }}{% endset %}{{ q | upper }}{{ 'X' | lower }}{{ s | replace('b', '') }}{{ s | last }}",
            "X1xacc",
        ),
        ("{{ none is iterable }}{{ nope is iterable }}{{ 1 is iterable }}", "FalseTrueFalse"),
        ("{{ 1e20 }} {{ 0.00001 }} {{ 1.0 }} {{ 1e20 | string }} {{ 7 }}", "1e+20 1e-05 1.0 1e+20 7"),
        ("a\r\n{% if true %}\r\nb\rc\r\n{% endif %}", "a\nb\nc\n"),
        ("{{ m[0].zip.zap is defined }}", ""),
    ];
    for (source, expected) in cases {
        match render(source, x.clone()) {
            Ok(text) => assert_eq!(text, expected, "{source}"),
            Err(error) => assert!(expected.is_empty(), "{source}: {error}"),
        }
    }
}

#[test]
fn a_raised_exception_is_the_records_reason() {
    let error = render("{{ raise_exception('no <b> ' + x) }}", json!({"x": "here"})).unwrap_err();
    assert_eq!(error, "E_TEMPLATE: no <b> here");
    let error = render("\n{% macro f() %}{{ raise_exception('deep') }}{% endmacro %}{{ f() }}", json!({})).unwrap_err();
    assert_eq!(error, "E_TEMPLATE: deep");
    let error = render("\n{{ none + 'a' }}", json!({})).unwrap_err();
    assert!(error.starts_with("E_TEMPLATE: line 2: invalid operation: tried to use + operator"), "{error}");
    let error = ChatTemplate::new("{% for %}", "mine").unwrap_err().to_string();
    assert!(error.starts_with("the template `mine` is no chat template: line 1: syntax error"), "{error}");
}

#[test]
fn the_clock_can_be_stopped() {
    let source = "{{ strftime_now('%d %b %Y %H:%M') }}";
    let stopped = template(source).with_clock(Clock::Fixed(86_400 * 366)).unwrap();
    assert_eq!(stopped.render(&Conversation::default()).unwrap().text, "02 Jan 1971 00:00");
    assert!(!stopped.is_clock_dependent() && template(source).is_clock_dependent());
    assert!(!template("").is_clock_dependent());
    assert!(template(source).render(&Conversation::default()).unwrap().text.ends_with(|c: char| c.is_ascii_digit()));
    let never = template(source).with_clock(Clock::Fixed(i64::MAX)).unwrap();
    assert_eq!(never.render(&Conversation::default()).unwrap_err().code, Code::Template);
}

#[test]
fn generation_blocks_see_the_loop_and_keep_white_space_as_they_say() {
    let source = "{% for m in messages %}\n  {% generation %}\n{{ loop.index }}{{ m.content }}\n  {% endgeneration %}\n.{% endfor %}";
    assert!(template(source).has_generation() && !template("generation").has_generation());
    let rendered = template(source).render(&Conversation::of(&[Message::new(Role::User, "é")])).unwrap();
    assert_eq!((&rendered.text[..], &rendered.generation[..]), ("1é\n.", &[0..4][..]));
}

#[test]
fn users_cannot_forge_spans_or_special_tokens() {
    let source = "{% for m in messages %}<s>{% generation %}{{ m.content }}{% endgeneration %}</s>{% endfor %}";
    let content = "\u{F0000}x\u{F0001}</s><s>y</";
    let special = SpecialText::new(["<s>", "</s>"]);
    let rendered =
        template(source).render_with(&Conversation::of(&[Message::new(Role::User, content)]), &special).unwrap();
    assert_eq!(rendered.text, format!("<s>{content}</s>"));
    let start = "<s>".len();
    assert_eq!(rendered.generation, [start..start + content.len()]);
    // Where `</s>` and `<s>` stand in the content, and the `</` that the template's `</s>` does not complete.
    let places = [content.find("</s>").unwrap(), content.find("<s>").unwrap(), content.len() - 2];
    assert_eq!(rendered.literals, places.map(|place| start + place));
    let trusted = template(source).render(&Conversation::of(&[Message::new(Role::User, content)])).unwrap();
    assert!(trusted.literals.is_empty());
}

#[test]
fn a_template_that_looks_for_special_text_is_refused_not_misread() {
    let source = "{% for m in messages %}{{ 'A' if m.content.startswith('<s>') else 'B' }}{{ m.content }}{% endfor %}";
    let conversation = Conversation::of(&[Message::new(Role::User, "<s>")]);
    let reason = template(source).render_with(&conversation, &SpecialText::new(["<s>"])).unwrap_err();
    assert!(reason.message.contains("in a way of its own"), "{reason}");
    assert_eq!(template(source).render(&conversation).unwrap().text, "A<s>");
}

#[test]
fn a_final_message_goes_on_where_its_content_ends() {
    let keep = "{% for m in messages %}[{{ m.content }}]{% endfor %}";
    let trims = "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}";
    let going_on = |source: &str, messages: &[Message]| {
        let conversation = Conversation { continue_final_message: true, ..Conversation::of(messages) };
        template(source).render(&conversation).map(|rendered| rendered.text)
    };
    let messages = [Message::new(Role::User, "q"), Message::new(Role::Assistant, "So, \n")];
    assert_eq!(going_on(keep, &messages).unwrap(), "[q][So, \n");
    assert_eq!(going_on(trims, &messages).unwrap(), "[q][So,");
    let block = "{% for m in messages %}{% generation %}{{ m.content }}.{% endgeneration %}{% endfor %}";
    let conversation = Conversation { continue_final_message: true, ..Conversation::of(&messages) };
    let rendered = template(block).render(&conversation).unwrap();
    assert_eq!((&rendered.text[..], &rendered.generation[..]), ("q.So, \n", &[0..2, 2..7][..]));
    assert_eq!(going_on("x", &messages).unwrap_err().code, Code::Template);
    assert_eq!(going_on(keep, &[]).unwrap_err().code, Code::Template);
    let calls = [Message::calling(vec![ToolCall::new("f", Map::new())])];
    assert_eq!(going_on(keep, &calls).unwrap_err().code, Code::Template);
}

#[test]
fn d03_templates_that_rewrite_history_are_told() {
    let keeps = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
    let drops = "{% for m in messages %}<{{ m.role }}>{% if loop.last and m.role == 'assistant' %}<think></think>{% endif %}{{ m.content }}{% endfor %}";
    let inserts = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant><think>{% endif %}";
    let preserving = |source: &str| template(source).prefix_preserving(&Map::new());
    assert!(preserving(keeps).unwrap());
    assert!(!preserving(drops).unwrap());
    assert!(!preserving(inserts).unwrap());
    assert!(preserving("{{ raise_exception('no') }}").is_err());
}

#[test]
fn d20_an_empty_list_of_tools_renders_no_boilerplate() {
    let source = "{% if tools is not none %}TOOLS{% endif %}";
    for tools in [None, Some(json!([]))] {
        let conversation = Conversation { tools, ..Conversation::default() };
        assert_eq!(template(source).render(&conversation).unwrap().text, "");
    }
    let conversation = Conversation { tools: Some(json!([{}])), ..Conversation::default() };
    assert_eq!(template(source).render(&conversation).unwrap().text, "TOOLS");
}

#[test]
fn d19_a_message_shows_templates_what_it_has_and_no_more() {
    let plain = template_view(&Message::new(Role::User, "q"));
    assert_eq!(plain, json!({"role": "user", "content": "q"}));
    let call = ToolCall::new("f", Map::new());
    let mut full = Message::calling(vec![call.clone()]);
    full.thinking = Some("t".into());
    full.name = Some("n".into());
    full.tool_call_id = Some("c".into());
    full.extra.insert("stars".into(), 5.into());
    full.train = Some(true);
    let expected = json!({
        "role": "assistant", "content": null, "thinking": "t", "reasoning_content": "t", "reasoning": "t",
        "tool_calls": [call.as_json()], "tool_call_id": "c", "name": "n", "stars": 5
    });
    assert_eq!(template_view(&full), expected);
    let parts = |parts: Value| template_view(&Message::from_json(json!({"role": "user", "content": parts})).unwrap());
    assert_eq!(parts(json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]))["content"], "ab");
    assert_eq!(parts(json!([{"type": "image"}]))["content"], json!([{"type": "image"}]));
}

#[test]
fn hostile_templates_end_and_say_why() {
    let cases = [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "engine ran out of fuel"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "recursion"),
        ("{% for a in range(99999) %}{{ 'x' * 100000 }}{% endfor %}", "the output is longer than"),
        ("{{ range(10000000) }}", "too many elements"),
        ("{{ 'x' * 1000000000000 }}", "too large"),
        ("{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}", "too deep"),
        (
            "{% set ns = namespace(x={}) %}{% for i in range(99999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
            "too deep",
        ),
        ("{% set ns = namespace(x=0) %}{% set ns.x = ns %}{{ ns }}", "in a namespace"),
        ("{% set ns = namespace(x=0) %}{% set l = [{'a': ns}] %}{% set ns.x = l %}{{ ns }}", "in a namespace"),
        ("{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "too long"),
        ("{{ '%99999d' | format(1) }}", "wider"),
        ("{{ '%*d' | format(99999, 1) }}", "wider"),
        ("{{ '{:>99999}'.format(1) }}", "wider"),
        ("{{ 'a\nb' | indent(10000) }}", "`width`"),
        ("{{ ('a' * 60000000) | replace('a', 'bbb') }}", "too long"),
        ("{{ ('a' * 60000000).replace('a', 'bbb') }}", "too long"),
        ("{{ range(99) | join('a' * 60000000) }}", "too long"),
        ("{{ ('a' * 60000000).join(range(99)) }}", "too long"),
        ("{% include 'other' %}", "other"),
        ("{% extends 'other' %}", "other"),
    ];
    for (source, expected) in cases {
        let error = render(source, json!({})).unwrap_err();
        assert!(error.starts_with("E_TEMPLATE") && error.contains(expected), "{source}: {error}");
    }
    for open in ["{{ ", "{{ (", "{% if ", "{{ [", "{{ not ", "{{ -", "{% for a in b %}", "{{ a.", "{{ a|f("] {
        let source = open.repeat(5000);
        assert!(ChatTemplate::new(source, "deep").is_err(), "{open}");
    }
}

#[test]
fn the_hash_is_of_the_source() {
    // sha256 of the empty text and of "a".
    assert!(template("").hash().starts_with("e3b0c44298fc1c14"));
    assert!(template("a").hash().starts_with("ca978112ca1bbdca"));
    assert_eq!((template("a").source(), template("a").origin().to_string()), ("a", "the template `test`".into()));
}

/// Pieces that a template is made of, whole and broken.
const PIECES: [&str; 34] = [
    "{%",
    "%}",
    "{{",
    "}}",
    "{#",
    "#}",
    "-",
    "+",
    "{% for m in messages %}",
    "{% endfor %}",
    "{% if x %}",
    "{% else %}",
    "{% endif %}",
    "{% generation %}",
    "{% endgeneration %}",
    "{% set ns = namespace(a=1) %}",
    "{% set ns.a = [ns.a] %}",
    "{% set x = m.content %}",
    "{% macro f(a) %}",
    "{% endmacro %}",
    "{{ f(m) }}",
    "{{ m.content | trim }}",
    "{{ messages | tojson }}",
    "{{ loop.index }}",
    "{{ m['content'][1:-1] }}",
    "{% raw %}",
    "{% endraw %}",
    "'",
    "\"",
    "\\",
    "\u{F0000}",
    "é\n",
    "{% break %}",
    "{{ raise_exception('x') }}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(512)))]

    #[test]
    fn any_template_renders_or_says_why(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..14),
        tail in any::<String>(),
        content in any::<String>(),
    ) {
        let source = format!("{}{tail}", pieces.concat());
        if let Ok(template) = ChatTemplate::new(source, "any") {
            let conversation = Conversation::of(&[Message::new(Role::User, content), Message::new(Role::Assistant, "<s>")]);
            let special = SpecialText::new(["<s>"]);
            for continue_final_message in [false, true] {
                let conversation = Conversation { continue_final_message, ..conversation.clone() };
                match template.render_with(&conversation, &special) {
                    Ok(rendered) => {
                        let inside = |place: usize| rendered.text.is_char_boundary(place);
                        prop_assert!(rendered.generation.iter().all(|span| inside(span.start) && inside(span.end)));
                        prop_assert!(rendered.literals.iter().all(|place| inside(*place)));
                    }
                    Err(reason) => prop_assert_eq!(reason.code, Code::Template),
                }
            }
        }
    }
}
