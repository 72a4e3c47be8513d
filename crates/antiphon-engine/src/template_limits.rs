//! The limits of a template, whose author may be a stranger: of its steps, of its texts, and of the work on them.
//!
//! | limit | against | where |
//! |---|---|---|
//! | operators of an expression, branches | a parser and a compiler that recurse | `check`, before the template is parsed |
//! | the size of a constant | `"x" * 100000000`, which is computed when the template is compiled | `check` |
//! | steps | loops in loops | `render`, by the engine's fuel |
//! | the size of a text | a text that doubles with each step | each operator and filter that makes one |
//! | levels of nesting | lists in lists, which are dropped by recursion | each operator that makes one |
//! | work in all | a filter over a large list in a loop | each filter, by the size of what it is given |
//!
//! The engine counts steps only. So the instructions of a template that make a text or a list are replaced by calls of functions
//! here, which check the size first; the number of instructions and their lines stay the same. The names of these functions have a
//! mark, so that no template can name them.

mod guards;
mod source;

use std::cell::Cell;

use minijinja::machinery::{self, Instruction, Instructions};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};

pub(crate) use source::check;

/// The most instructions that a template may take for a row; a loop over a list takes about ten for each element.
const MAX_STEPS: u64 = 10_000_000;
/// The most bytes of a text that a template makes, and of its output: more than the context of any model.
const MAX_TEXT: u64 = 64 << 20;
/// The most elements that operators and filters may read for a row; 64 bytes of a text count as one.
const MAX_WORK: u64 = 16_000_000;
/// The most levels of lists and maps. Rows have up to 128, by the parser of JSON.
const MAX_LEVELS: usize = 160;

thread_local! {
    /// The work and the output that are left of the template that this thread renders.
    static LEFT: Cell<Left> = const { Cell::new(Left { work: u64::MAX, output: u64::MAX }) };
}

#[derive(Debug, Clone, Copy)]
struct Left {
    work: u64,
    output: u64,
}

/// Adds the functions that replace instructions.
pub(crate) fn add_guards(templates: &mut Environment<'_>) {
    guards::add(templates);
}

/// Sets the most steps of the templates of these names, after they were added: fewer, if one has a loop with a long literal text.
pub(crate) fn limit_steps(templates: &mut Environment<'static>, names: &[&str]) {
    let steps = |name: &&str| {
        let template = templates.get_template(name).ok()?;
        Some(most_steps(&machinery::get_compiled_template(&template).instructions))
    };
    let fewest = names.iter().filter_map(steps).min().unwrap_or(MAX_STEPS);
    templates.set_fuel(Some(fewest));
}

/// Renders a template within the limits.
///
/// # Errors
/// The error of the template, with its line; of the kind `OutOfFuel` for too many steps.
pub(crate) fn render(templates: &Environment<'static>, name: &str, context: &Value) -> Result<String, Error> {
    let template = templates.get_template(name)?;
    let compiled = machinery::get_compiled_template(&template);
    let instructions = &compiled.instructions;
    let is_replaced = |instruction| replacement(instruction).is_some();
    // Most templates only name fields.
    let needs_guards = (0..).map_while(|index| instructions.get(index)).any(is_replaced);
    let guarded = needs_guards.then(|| guarded(instructions));
    let before = LEFT.replace(Left { work: MAX_WORK, output: MAX_TEXT });
    let mut text = String::new();
    let rendered = machinery::eval(
        templates,
        guarded.as_ref().unwrap_or(instructions),
        context.clone(),
        &compiled.blocks,
        &mut machinery::make_string_output(&mut text),
        AutoEscape::None,
    )
    .map(|_| ());
    LEFT.set(before);
    rendered.map(|()| text)
}

/// Returns the instructions of a template with those replaced that make a text or a list.
fn guarded<'t>(instructions: &Instructions<'t>) -> Instructions<'t> {
    let mut guarded = Instructions::new(instructions.name(), instructions.source());
    for index in 0.. {
        let Some(instruction) = instructions.get(index) else { break };
        let line = instructions.get_line(index).and_then(|line| u16::try_from(line).ok());
        let replaced = replacement(instruction).unwrap_or_else(|| instruction.clone());
        match line {
            Some(line) => guarded.add_with_line(replaced, line),
            None => guarded.add(replaced),
        };
    }
    guarded
}

/// Returns the call that replaces an instruction; `None` for one that stays.
fn replacement<'t>(instruction: &Instruction<'t>) -> Option<Instruction<'t>> {
    let call = |name: &'static str, arguments: usize| {
        u16::try_from(arguments).ok().map(|arguments| Instruction::CallFunction(name, Some(arguments)))
    };
    match instruction {
        Instruction::StringConcat => call(guards::CONCAT, 2),
        Instruction::Add => call(guards::ADD, 2),
        Instruction::Mul => call(guards::MUL, 2),
        Instruction::BuildList(Some(count)) => call(guards::LIST, *count),
        Instruction::BuildTuple(Some(count)) => call(guards::TUPLE, *count),
        Instruction::BuildMap(count) => call(guards::MAP, count * 2),
        Instruction::ApplyFilter(name, arguments, id) => {
            let guarded = guards::guarded_name(name)?;
            Some(Instruction::ApplyFilter(guarded, *arguments, *id))
        }
        _ => None,
    }
}

/// Returns the most steps for a template. Literal texts are written without a call that could count them.
fn most_steps(instructions: &Instructions<'_>) -> u64 {
    let (mut literals, mut longest) = (Vec::new(), 1);
    for index in 0.. {
        match instructions.get(index) {
            Some(Instruction::EmitRaw(text)) => literals.push((index, text.len() as u64)),
            Some(Instruction::Jump(target)) if *target <= index => {
                let of_loop = literals.iter().rev().take_while(|(at, _)| at >= target);
                longest = of_loop.map(|(_, length)| *length).max().unwrap_or_default().max(longest);
            }
            Some(_) => {}
            None => break,
        }
    }
    (16 * MAX_TEXT / longest).clamp(10_000, MAX_STEPS)
}

/// Counts work.
///
/// # Errors
/// The error of too much work.
fn charge(work: u64) -> Result<(), Error> {
    let left = LEFT.get();
    let rest = left.work.checked_sub(work).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            "its filters and operators read too much: more than 16 million elements",
        )
    })?;
    LEFT.set(Left { work: rest, ..left });
    Ok(())
}

/// Counts the size of a value that is written.
///
/// # Errors
/// The error of too much output, or of too much work.
pub(crate) fn count_output(value: &Value) -> Result<(), Error> {
    let size = guards::size(value)?;
    let left = LEFT.get();
    let rest = left.output.checked_sub(size).ok_or_else(too_long)?;
    LEFT.set(Left { output: rest, ..left });
    Ok(())
}

/// Returns the error of a text that is too long.
fn too_long() -> Error {
    Error::new(ErrorKind::InvalidOperation, "a text becomes longer than 64 MiB")
}

/// Returns the message of an error that the engine words for its own callers; `None` for any other.
pub(crate) fn message(err: &Error) -> Option<String> {
    (err.kind() == ErrorKind::OutOfFuel).then(|| {
        format!("its loops take too many steps: more than {MAX_STEPS}, or fewer with long texts in a loop")
    })
}

#[cfg(test)]
mod tests {
    use antiphon_llm::Part;
    use minijinja::Environment;
    use serde_json::json;

    use crate::recipe::Recipe;

    /// Renders a prompt for a row as a recipe does, on a stack as small as those of tokio's workers.
    fn prompt(template: &str, row: &str) -> Result<String, String> {
        let (template, row) = (template.to_owned(), row.to_owned());
        let work = move || {
            let mut recipe = Recipe::empty();
            recipe.prompt = template;
            let work = recipe.asking("m").map_err(|err| err.to_string())?;
            let prompt = work.prompt(&row).map_err(|err| err.to_string())?;
            let [Part::Text(text)] = &prompt.messages[0].parts[..] else { return Err("no text".to_owned()) };
            Ok(text.clone())
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap()
    }

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let row = json!({ "x": "abc", "list": [1, 2], "rows": vec!["x"; 3_000] }).to_string();
        let err = prompt(template, &row).map(|text| text.len()).unwrap_err();
        assert!(err.contains(expected), "{template:.80}: {err}");
        assert!(err.contains("line "), "{err}");
    }

    const LONG: &str = "longer than 64 MiB";

    #[test]
    fn loops_in_loops_run_out_of_steps() {
        let range = "{% for a in range(100000) %}";
        check(&format!("{range}{range}{{% endfor %}}{{% endfor %}}"), "too many steps");
        check(
            "{% for a in rows %}{% for b in rows %}{% for c in rows %}{% endfor %}{% endfor %}{% endfor %}",
            "too many steps",
        );
        check("{% for a in [list] recursive %}{{ loop([list]) }}{% endfor %}", "");
        let literal = "y".repeat(100_000);
        check(&format!("{range}{literal}{{% endfor %}}"), "too many steps");
    }

    #[test]
    fn texts_that_double_are_cut_short() {
        let doubled = |set: &str| format!("{{% set y = 'ab' %}}{}{{{{ y }}}}", set.repeat(60));
        check(&doubled("{% set y = y ~ y %}"), LONG);
        check(&doubled("{% set y = y + y %}"), LONG);
        check(&doubled("{% set y = y * 4 %}"), LONG);
        check(&doubled("{% set y = y|replace('a', y) %}"), LONG);
        check(&doubled("{% set y = [y, y]|join %}"), LONG);
        check(&doubled("{% set y %}{{ y }}{{ y }}{% endset %}"), LONG);
        check(&doubled("{% set y = '%s%s'|format(y, y) %}"), LONG);
        check(&doubled("{% set y = [y]|map('replace', 'a', y)|join %}"), LONG);
        check(&doubled("{% set y = [y, y] %}"), "");
        check(&doubled("{% set y = y|tojson %}"), "");
        let grown =
            "{% set n = namespace(y='a') %}{% for i in range(60) %}{% set n.y = n.y ~ n.y %}{% endfor %}";
        check(grown, LONG);
        check("{% for a in rows %}{% for b in rows %}{{ rows }}{% endfor %}{% endfor %}", "MiB");
    }

    #[test]
    fn filters_do_not_make_what_is_too_long() {
        for grown in [
            "x * 100000000",
            "100000000 * x",
            "x|indent(100000000, true)",
            "x|indent(width=1000000000, first=true)",
            "'%1000000000d'|format(1)",
            "'%*d'|format(1000000000, 1)",
            "'%.1000000000f'|format(1.0)",
            "list|batch(1000000000, 'x')",
            "list|slice(1000000000, 'x')|list",
            "list * 100000000",
            "(list * 1000000)|length",
            "list|tojson(indent=1000000000)",
        ] {
            check(&format!("{{{{ {grown} }}}}"), "");
        }
    }

    #[test]
    fn constants_are_not_computed_if_they_are_too_long() {
        let err = prompt("so\n{{ 'x' * 100000000 }}", "{}").unwrap_err();
        assert!(err.contains("line 2") && err.contains("a constant becomes longer than 1 MiB"), "{err}");
        for constant in
            ["'x' * (1000 * 10000)", "[1, 2] * 1000000", "('x' * 1000000) ~ ('x' * 1000000)", "9000000 * 'x'"]
        {
            let err = prompt(&format!("{{% if {constant} %}}{{% endif %}}"), "{}").unwrap_err();
            assert!(err.contains("a constant becomes longer than 1 MiB"), "{constant}: {err}");
        }
        assert_eq!(prompt("{{ '-' * 3 }}{{ 2 * 3 + 1 }}", "{}").unwrap(), "---7");
    }

    #[test]
    fn work_is_limited_in_all() {
        check("{% for a in range(100000) %}{% set y = rows|sort %}{% endfor %}", "read too much");
        check("{% for a in range(100000) %}{% set y = rows|join('-') %}{% endfor %}", "read too much");
    }

    #[test]
    fn deep_expressions_and_lists_do_not_use_up_the_stack() {
        let nested =
            |open: &str, close: &str| format!("{{{{ {}1{} }}}}", open.repeat(5_000), close.repeat(5_000));
        for (open, close) in [("(", ")"), ("[", "]"), ("{'a': ", "}"), ("not ", ""), ("-", ""), ("x(", ")")] {
            assert!(prompt(&nested(open, close), "{}").is_err(), "{open}");
        }
        for part in [" ~ x", " + x", "|trim", ".x", "[0]", " and x", " if x", " is defined", " * 2"] {
            let err = prompt(&format!("so\n{{{{ x{} }}}}", part.repeat(20_000)), "{}").unwrap_err();
            assert!(err.contains("line 2: an expression has more than"), "{part}: {err}");
        }
        let branches = "{% elif x %}".repeat(5_000);
        assert!(prompt(&format!("{{% if x %}}{branches}{{% endif %}}"), "{}").unwrap_err().contains("elif"));
        assert!(prompt(&"{% if x %}".repeat(5_000), "{}").is_err());
        for list in ["[n.y]", "(n.y,)", "{'a': n.y}", "[n.y] + [1]"] {
            let loops = format!(
                "{{% set n = namespace(y=1) %}}{{% for i in range(90000) %}}{{% set n.y = {list} %}}{{% endfor %}}"
            );
            check(&loops, "nested");
        }
        let long = "{% set n = namespace(y=[]) %}{% for i in range(3000) %}{% set n.y = n.y + [i] %}{% endfor %}{{ n.y|length }}";
        assert_eq!(prompt(long, "{}").unwrap(), "3000");
    }

    /// Compares with an environment without limits.
    #[test]
    fn templates_within_the_limits_are_rendered_as_before() {
        let row =
            json!({ "a": "b", "n": 2, "f": 1.5, "list": ["x", "y"], "map": { "k": [1, { "z": null }] } });
        for template in [
            "{{ a ~ n ~ f }} {{ n + 1 }} {{ f * n }} {{ a + a }} {{ a * 3 }} {{ list + ['z'] }} {{ list * 2 }}",
            "{{ [a, n] }} {{ (a, n) }} {{ {'k': a, 'a': n} }} {{ [] }} {{ {} }} {{ (a,) }}",
            "{{ list|join(', ') }} {{ list|map('upper')|join }} {{ map.k|tojson }} {{ a|indent(2, true) }}",
            "{{ a|replace('b', 'c') }} {{ '%05.1f|%s'|format(f, a) }} {{ list|batch(3, '-')|list }} {{ list|slice(2)|list }}",
            "{{ map|tojson(indent=2) }} {{ map|dictsort }} {{ map|items|list }} {{ list|reverse|list }} {{ list|sort|first }}",
            "{% for x in list %}{{ loop.index }}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "{% filter upper %}{{ a }}c{% endfilter %}{% set y %}{{ a }}!{% endset %}{{ y }}",
            "{% set s = namespace(n=0) %}{% for x in list %}{% set s.n = s.n + 1 %}{% endfor %}{{ s.n }}",
            "{{ list|map(attribute='z', default='-')|list }} {{ list|select('equalto', 'x')|list }} {{ [3, 1]|sum }}",
            "{{ missing|default('none') }} {{ list|length }} {{ a|default('-', true) }} {{ [1, 2]|max }}",
        ] {
            let mut plain = Environment::new();
            plain.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
            plain.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
            crate::template_value::keep_digits(&mut plain);
            let expected = plain
                .render_str(template, crate::template_value::variables(&row))
                .map_err(|err| err.to_string());
            let found = prompt(template, &row.to_string());
            assert_eq!(found.clone().ok(), expected.clone().ok(), "{template}: {found:?} {expected:?}");
            assert!(found.is_ok(), "{template}: {found:?}");
        }
    }
}
