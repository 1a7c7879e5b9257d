//! From the words of a filter to what it says.

use regex::{Regex, RegexBuilder};

use super::tokens::{self, Token};
use super::{FilterFault, FilterField, FilterScope, MAX_FILTER_DEPTH};
use crate::Timestamp;

/// Memory that a compiled pattern may take, in bytes.
const MAX_PATTERN_SIZE: usize = 256 * 1024;

#[derive(Clone, Debug)]
pub(super) enum Expression {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// Seconds since 1970.
    Time(i64),
    /// So many seconds after the time of asking.
    Now(i64),
    Field(FilterField),
    List(Vec<Expression>),
    Size(Box<Expression>),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    In(Box<Expression>, Box<Expression>),
    Search(Search, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is looked for in a text.
#[derive(Clone, Debug)]
pub(super) enum Search {
    Start(String),
    End(String),
    Part(String),
    Pattern(Regex),
}

/// What is known about a value before there is an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Time,
    List,
    /// Of a field: anything.
    Any,
}

pub(super) fn parse(text: &str, scope: &FilterScope) -> Result<Expression, FilterFault> {
    let mut parser = Parser { tokens: tokens::read(text)?.into_iter().peekable(), scope, depth: 0 };
    let expression = parser.alternatives()?;
    if let Some(token) = parser.tokens.next() {
        return Err(surplus(&token));
    }
    truth(expression)
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    scope: &'a FilterScope,
    depth: usize,
}

impl Parser<'_> {
    /// `a || b`
    fn alternatives(&mut self) -> Result<Expression, FilterFault> {
        let first = self.conditions()?;
        if !self.next_is("||") {
            return Ok(first);
        }
        let mut all = vec![truth(first)?];
        while self.take("||") {
            all.push(truth(self.conditions()?)?);
        }
        Ok(Expression::Or(all))
    }

    /// `a && b`
    fn conditions(&mut self) -> Result<Expression, FilterFault> {
        let first = self.relation()?;
        if !self.next_is("&&") {
            return Ok(first);
        }
        let mut all = vec![truth(first)?];
        while self.take("&&") {
            all.push(truth(self.relation()?)?);
        }
        Ok(Expression::And(all))
    }

    /// `a == b`, `a in b`
    fn relation(&mut self) -> Result<Expression, FilterFault> {
        let left = self.operand()?;
        if self.take_word("in") {
            let right = self.operand()?;
            if !matches!(kind(&right), Kind::List | Kind::Any) {
                return Err(syntax("what stands behind \"in\" is no list"));
            }
            return Ok(settled(Expression::In(left.into(), right.into())));
        }
        let comparison = match self.tokens.peek() {
            Some(Token::Sign("==")) => Comparison::Equal,
            Some(Token::Sign("!=")) => Comparison::Unequal,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            _ => return Ok(left),
        };
        self.tokens.next();
        let right = self.operand()?;
        comparable(comparison, kind(&left), kind(&right))?;
        Ok(settled(Expression::Compare(comparison, left.into(), right.into())))
    }

    /// `!a`, `a.startsWith("b")`
    fn operand(&mut self) -> Result<Expression, FilterFault> {
        self.depth += 1;
        if self.depth > MAX_FILTER_DEPTH {
            return Err(syntax(&format!("it is nested deeper than {MAX_FILTER_DEPTH}")));
        }
        let operand = if self.take("!") {
            Expression::Not(truth(self.operand()?)?.into())
        } else {
            let mut value = self.value()?;
            while self.take(".") {
                value = self.method(value)?;
            }
            value
        };
        self.depth -= 1;
        Ok(operand)
    }

    fn value(&mut self) -> Result<Expression, FilterFault> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(Expression::Text(text)),
            Some(Token::Number(number)) => Ok(Expression::Number(number)),
            Some(Token::Sign("-")) => match self.tokens.next() {
                Some(Token::Number(number)) => Ok(Expression::Number(-number)),
                _ => Err(syntax("arithmetic is not available")),
            },
            Some(Token::Sign("(")) => {
                let inner = self.alternatives()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Sign("[")) => self.list(),
            Some(Token::Name(name)) => self.named(&name),
            Some(token) => Err(surplus(&token)),
            None => Err(syntax("it ends where a value should follow")),
        }
    }

    fn list(&mut self) -> Result<Expression, FilterFault> {
        let mut entries = Vec::new();
        while !self.take("]") {
            if !entries.is_empty() {
                self.expect(",")?;
            }
            entries.push(self.operand()?);
        }
        Ok(Expression::List(entries))
    }

    fn named(&mut self, name: &str) -> Result<Expression, FilterFault> {
        match name {
            "true" => Ok(Expression::Bool(true)),
            "false" => Ok(Expression::Bool(false)),
            "null" => Ok(Expression::Null),
            "size" => {
                self.expect("(")?;
                let inner = self.operand()?;
                self.expect(")")?;
                sized(inner)
            }
            "timestamp" => self.timestamp(),
            _ if name == self.scope.root => self.field(),
            _ => Err(FilterFault::Unknown(name.chars().take(64).collect())),
        }
    }

    /// The longest known name behind the root: what follows it is a method.
    fn field(&mut self) -> Result<Expression, FilterFault> {
        let mut path = String::new();
        loop {
            self.expect(".")?;
            let Some(Token::Name(part)) = self.tokens.next() else { return Err(syntax("a dot has no name behind it")) };
            path = if path.is_empty() { part } else { format!("{path}.{part}") };
            match self.scope.field(&path) {
                // Of a name that longer ones begin with, as ip_policy of ip_policy.id: no such field has methods.
                Ok(_) if self.next_is(".") && self.scope.has_below(&path) => {}
                Ok(field) => return Ok(Expression::Field(field)),
                Err(fault) if !self.next_is(".") => return Err(fault),
                Err(_) => {}
            }
        }
    }

    fn timestamp(&mut self) -> Result<Expression, FilterFault> {
        self.expect("(")?;
        let time = match self.tokens.next() {
            Some(Token::Text(text)) => {
                let wrong = || syntax("what is in timestamp(…) is no time as \"2025-01-31T12:00:00Z\"");
                Expression::Time(Timestamp::parse(&text).ok_or_else(wrong)?.unix_secs())
            }
            Some(Token::Name(name)) if name == "time" => {
                self.expect(".")?;
                if !self.take_word("now") {
                    return Err(syntax("of time there is time.now only"));
                }
                Expression::Now(0)
            }
            _ => return Err(syntax("timestamp(…) needs a string or time.now")),
        };
        self.expect(")")?;
        Ok(time)
    }

    fn method(&mut self, value: Expression) -> Result<Expression, FilterFault> {
        let Some(Token::Name(name)) = self.tokens.next() else { return Err(syntax("a dot has no name behind it")) };
        self.expect("(")?;
        if name == "size" {
            self.expect(")")?;
            return sized(value);
        }
        let Some(Token::Text(argument)) = self.tokens.next() else {
            return Err(syntax("a function that follows a dot needs a string in quotes"));
        };
        self.expect(")")?;
        match (name.as_str(), value) {
            ("add", time) => moved(time, seconds(&argument)),
            ("subtract", time) => moved(time, seconds(&argument).and_then(i64::checked_neg)),
            ("startsWith", value) => search(Search::Start(argument), value),
            ("endsWith", value) => search(Search::End(argument), value),
            ("contains", value) => search(Search::Part(argument), value),
            ("matches", value) if self.scope.patterns => {
                let pattern = RegexBuilder::new(&argument).size_limit(MAX_PATTERN_SIZE).build();
                search(Search::Pattern(pattern.map_err(|_| syntax("what is in matches(…) is no pattern"))?), value)
            }
            (other, _) => {
                let other: String = other.chars().take(64).collect();
                Err(syntax(&format!("there is no function {other:?}")))
            }
        }
    }

    fn next_is(&mut self, sign: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Sign(next)) if *next == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Sign(next) if *next == sign)).is_some()
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Name(next) if next == word)).is_some()
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), FilterFault> {
        if self.take(sign) { Ok(()) } else { Err(syntax(&format!("\"{sign}\" is missing"))) }
    }
}

fn syntax(why: &str) -> FilterFault {
    FilterFault::Syntax(why.to_owned())
}

fn surplus(token: &Token) -> FilterFault {
    match token {
        Token::Name(name) => syntax(&format!("{:?} is in the wrong place", name.chars().take(64).collect::<String>())),
        Token::Text(_) => syntax("a string is in the wrong place"),
        Token::Number(_) => syntax("a number is in the wrong place"),
        Token::Sign("[") => syntax("elements of lists cannot be chosen"),
        Token::Sign("-") => syntax("arithmetic is not available"),
        Token::Sign("=") => syntax("\"=\" has no meaning; write \"==\""),
        Token::Sign(sign) => syntax(&format!("\"{sign}\" is in the wrong place")),
    }
}

fn kind(expression: &Expression) -> Kind {
    match expression {
        Expression::Null => Kind::Null,
        Expression::Number(_) | Expression::Size(_) => Kind::Number,
        Expression::Text(_) => Kind::Text,
        Expression::Time(_) | Expression::Now(_) => Kind::Time,
        Expression::List(_) => Kind::List,
        Expression::Field(_) => Kind::Any,
        _ => Kind::Bool,
    }
}

/// What decides something must be true or false.
fn truth(expression: Expression) -> Result<Expression, FilterFault> {
    match kind(&expression) {
        Kind::Bool | Kind::Any => Ok(expression),
        _ => Err(syntax("a value stands where a condition should")),
    }
}

fn comparable(comparison: Comparison, left: Kind, right: Kind) -> Result<(), FilterFault> {
    let ordered = |kind| matches!(kind, Kind::Number | Kind::Text | Kind::Time | Kind::Any);
    let orders = !matches!(comparison, Comparison::Equal | Comparison::Unequal);
    if orders && !(ordered(left) && ordered(right)) {
        return Err(syntax("of what is compared, one side has no order"));
    }
    let known = |kind| !matches!(kind, Kind::Any | Kind::Null);
    if known(left) && known(right) && left != right {
        return Err(syntax("the sides of a comparison are of different kinds"));
    }
    Ok(())
}

fn sized(inner: Expression) -> Result<Expression, FilterFault> {
    match kind(&inner) {
        Kind::Text | Kind::List | Kind::Any => Ok(Expression::Size(inner.into())),
        _ => Err(syntax("size() needs a list or a string")),
    }
}

fn search(search: Search, value: Expression) -> Result<Expression, FilterFault> {
    match &value {
        Expression::Field(field) if field.is_random() => {
            Err(syntax(&format!("parts of {:?} cannot be looked for; compare the whole with ==", field.name)))
        }
        Expression::Field(_) | Expression::Text(_) => Ok(Expression::Search(search, value.into())),
        _ => Err(syntax("only in a field or a string can something be looked for")),
    }
}

fn moved(time: Expression, by: Option<i64>) -> Result<Expression, FilterFault> {
    let by = by.ok_or_else(|| syntax("a duration is none; write one as \"24h\" or \"7d\""))?;
    let moved = match time {
        Expression::Time(at) => at.checked_add(by).map(Expression::Time),
        Expression::Now(offset) => offset.checked_add(by).map(Expression::Now),
        _ => return Err(syntax("only to a timestamp can a duration be added")),
    };
    moved.ok_or_else(|| syntax("a time is too far away"))
}

/// `24h`, `7d`, `1h30m`: one or more numbers with a unit each.
fn seconds(text: &str) -> Option<i64> {
    let (mut total, mut rest) = (0_i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let mut characters = rest[digits..].chars();
        let unit = match characters.next()? {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = characters.as_str();
    }
    Some(total).filter(|_| !text.is_empty())
}

/// Agents' endpoints have the type `ephemeral`, which newer texts call `agent`: both find them.
fn settled(expression: Expression) -> Expression {
    fn synonym(side: &mut Expression) {
        match side {
            Expression::Text(text) if text == "agent" => *text = "ephemeral".to_owned(),
            Expression::List(entries) => entries.iter_mut().for_each(synonym),
            _ => {}
        }
    }
    let mut expression = expression;
    if let Expression::Compare(_, left, right) | Expression::In(left, right) = &mut expression {
        let is_type = |side: &Expression| matches!(side, Expression::Field(field) if field.name == "type");
        if is_type(left) {
            synonym(right);
        } else if is_type(right) {
            synonym(left);
        }
    }
    expression
}
