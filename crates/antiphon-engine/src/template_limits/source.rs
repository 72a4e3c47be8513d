//! Checks of a template's source before it is compiled: what would make the parser recurse deeply, or the compiler compute a long
//! constant.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

/// The most bytes of a template.
const MAX_SOURCE: usize = 4 << 20;
/// The most operators of an expression between two commas: they are nested by the parser, also without parentheses.
const MAX_OPERATORS: usize = 200;
/// The most `elif` branches, which are nested by the parser.
const MAX_BRANCHES: usize = 200;
/// The most bytes of a constant, and of all constants together.
const MAX_CONSTANT: u64 = 1 << 20;

/// Checks the source of a template. A mistake in its syntax is left to the parser.
///
/// # Errors
/// The line, and the limit that is exceeded there.
pub(crate) fn check(source: &str) -> Result<(), (usize, String)> {
    if source.len() > MAX_SOURCE {
        return Err((1, format!("it is longer than {MAX_SOURCE} bytes")));
    }
    let (mut operators, mut branches) = (0, 0);
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let Ok((token, span)) = token else { return Ok(()) };
        match token {
            Token::VariableStart | Token::BlockStart | Token::Comma => operators = 0,
            Token::Ident("elif") => branches += 1,
            Token::Ident("and" | "or" | "not" | "is" | "in" | "if" | "else") => operators += 1,
            Token::Ident(_)
            | Token::TemplateData(_)
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_)
            | Token::Colon
            | Token::VariableEnd
            | Token::BlockEnd
            | Token::BracketClose
            | Token::ParenClose
            | Token::BraceClose => {}
            _ => operators += 1,
        }
        let line = usize::from(span.start_line);
        if operators > MAX_OPERATORS {
            return Err((line, format!("an expression has more than {MAX_OPERATORS} operators")));
        }
        if branches > MAX_BRANCHES {
            return Err((line, format!("more than {MAX_BRANCHES} branches begin with elif")));
        }
    }
    let Ok(template) = parse(source, "template", SyntaxConfig::default()) else { return Ok(()) };
    Constants::default().statement(&template)
}

/// The bytes of the constants so far.
#[derive(Default)]
struct Constants(u64);

type Checked = Result<(), (usize, String)>;

impl Constants {
    fn statements(&mut self, statements: &[Stmt<'_>]) -> Checked {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    /// Checks the expressions of a statement.
    fn statement(&mut self, statement: &Stmt<'_>) -> Checked {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emitted) => self.expression(&emitted.expr),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::ForLoop(each) => {
                self.expression(&each.iter)?;
                each.filter_expr.iter().try_for_each(|filter| self.expression(filter))?;
                self.statements(&each.body)?;
                self.statements(&each.else_body)
            }
            Stmt::IfCond(branch) => {
                self.expression(&branch.expr)?;
                self.statements(&branch.true_body)?;
                self.statements(&branch.false_body)
            }
            Stmt::WithBlock(block) => {
                block.assignments.iter().try_for_each(|(_, value)| self.expression(value))?;
                self.statements(&block.body)
            }
            Stmt::Set(set) => self.expression(&set.expr),
            Stmt::SetBlock(block) => {
                block.filter.iter().try_for_each(|filter| self.expression(filter))?;
                self.statements(&block.body)
            }
            Stmt::AutoEscape(block) => {
                self.expression(&block.enabled)?;
                self.statements(&block.body)
            }
            Stmt::FilterBlock(block) => {
                self.expression(&block.filter)?;
                self.statements(&block.body)
            }
            Stmt::Do(call) => {
                self.expression(&call.call.expr)?;
                self.arguments(&call.call.args)
            }
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) -> Checked {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value) => self.expression(value),
        })
    }

    /// Checks an expression and its parts.
    fn expression(&mut self, expression: &Expr<'_>) -> Checked {
        match expression {
            Expr::Var(_) => Ok(()),
            Expr::Const(_) => self.constant(expression).map(drop),
            Expr::UnaryOp(operator) => self.expression(&operator.expr),
            Expr::BinOp(operator) => {
                if self.constant(expression)?.is_some() {
                    return Ok(());
                }
                self.expression(&operator.left)?;
                self.expression(&operator.right)
            }
            Expr::Compare(compared) => {
                self.expression(&compared.expr)?;
                compared.ops.iter().try_for_each(|operator| self.expression(&operator.expr))
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr)?;
                self.expression(&choice.true_expr)?;
                choice.false_expr.iter().try_for_each(|other| self.expression(other))
            }
            Expr::Slice(slice) => {
                self.expression(&slice.expr)?;
                let bounds = [&slice.start, &slice.stop, &slice.step];
                bounds.into_iter().flatten().try_for_each(|bound| self.expression(bound))
            }
            Expr::Filter(filter) => {
                filter.expr.iter().try_for_each(|value| self.expression(value))?;
                self.arguments(&filter.args)
            }
            Expr::Test(test) => {
                self.expression(&test.expr)?;
                self.arguments(&test.args)
            }
            Expr::GetAttr(part) => self.expression(&part.expr),
            Expr::GetItem(part) => {
                self.expression(&part.expr)?;
                self.expression(&part.subscript_expr)
            }
            Expr::Call(call) => {
                self.expression(&call.expr)?;
                self.arguments(&call.args)
            }
            Expr::List(list) => list.items.iter().try_for_each(|item| self.expression(item)),
            Expr::Tuple(tuple) => tuple.items.iter().try_for_each(|item| self.expression(item)),
            Expr::Map(map) => map.keys.iter().chain(&map.values).try_for_each(|item| self.expression(item)),
        }
    }

    /// Returns the bytes of an expression that the compiler computes, without computing it; `None` for any other.
    fn constant(&mut self, expression: &Expr<'_>) -> Result<Option<u64>, (usize, String)> {
        let size = match expression {
            Expr::Const(constant) => constant.value.as_str().map_or(16, |text| text.len() as u64),
            Expr::List(list) => list.items.len() as u64 * 16,
            Expr::Tuple(tuple) => tuple.items.len() as u64 * 16,
            Expr::UnaryOp(operator) => return self.constant(&operator.expr),
            Expr::BinOp(operator) => {
                let sides = (self.constant(&operator.left)?, self.constant(&operator.right)?);
                let (Some(left), Some(right)) = sides else { return Ok(None) };
                let number = |side: &Expr<'_>| side.as_const().and_then(|value| u64::try_from(value).ok());
                match operator.op {
                    BinOpKind::Mul => match (number(&operator.left), number(&operator.right)) {
                        (Some(_), Some(_)) => 16,
                        (Some(times), None) => right.saturating_mul(times),
                        (None, Some(times)) => left.saturating_mul(times),
                        (None, None) => left.saturating_add(right),
                    },
                    _ => left.saturating_add(right),
                }
            }
            _ => return Ok(None),
        };
        self.0 = self.0.saturating_add(size);
        if size > MAX_CONSTANT || self.0 > 64 * MAX_CONSTANT {
            let line = usize::from(expression.span().start_line);
            return Err((line, "a constant becomes longer than 1 MiB".to_owned()));
        }
        Ok(Some(size))
    }
}
