//! The token cursor, shared by the parsers of modules and of function bodies.

use std::fmt::Display;
use std::str::FromStr;

use super::ParseError;
use super::lexer::{Spanned, Token};
use crate::{Module, SigId, Signature, Type};

/// A position in the token list. A copy marks a position to return to.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t, 'a> {
    tokens: &'t [Spanned<'a>],
    pos: usize,
}

impl<'t, 'a> Cursor<'t, 'a> {
    /// A cursor at the first of `tokens`, which end in [`Token::End`].
    pub(super) fn new(tokens: &'t [Spanned<'a>]) -> Self {
        Self { tokens, pos: 0 }
    }

    pub(super) fn peek(&self) -> &'t Token<'a> {
        &self.tokens[self.pos].0
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens[self.pos].1
    }

    /// Takes the next token; the end stays where it is.
    pub(super) fn take(&mut self) -> &'t Token<'a> {
        let token = self.peek();
        if *token != Token::End {
            self.pos += 1;
        }
        token
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError { line: self.line(), message: message.into() }
    }

    pub(super) fn expected(&self, expected: impl Display) -> ParseError {
        self.error(format!("expected {expected}, found {}", self.peek().describe()))
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = *self.peek() == Token::Punct(c);
        self.pos += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, c: char) -> Result<(), ParseError> {
        if self.eat(c) { Ok(()) } else { Err(self.expected(format_args!("`{c}`"))) }
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if *w == word);
        self.pos += usize::from(found);
        found
    }

    /// The word that comes next, if a word comes next.
    pub(super) fn peek_word(&self) -> Option<&'a str> {
        match self.peek() {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn word(&mut self, expected: &str) -> Result<&'a str, ParseError> {
        let word = self.peek_word().ok_or_else(|| self.expected(expected))?;
        self.pos += 1;
        Ok(word)
    }

    pub(super) fn skip_newlines(&mut self) {
        while *self.peek() == Token::Newline {
            self.pos += 1;
        }
    }

    pub(super) fn end_of_line(&mut self) -> Result<(), ParseError> {
        match self.peek() {
            Token::Newline => {
                self.pos += 1;
                Ok(())
            }
            Token::End => Ok(()),
            _ => Err(self.expected("end of line")),
        }
    }

    /// A word that reads as a `T`.
    pub(super) fn parse<T: FromStr>(&mut self, expected: &str) -> Result<T, ParseError> {
        let word =
            self.peek_word().and_then(|word| word.parse().ok()).ok_or_else(|| self.expected(expected))?;
        self.pos += 1;
        Ok(word)
    }

    /// A signed decimal number.
    pub(super) fn int(&mut self) -> Result<i64, ParseError> {
        let start = *self;
        let negative = self.eat('-');
        let magnitude: i128 = self.parse("a number")?;
        i64::try_from(if negative { -magnitude } else { magnitude })
            .map_err(|_| start.error("number out of range"))
    }

    /// `key=` and a number.
    pub(super) fn attribute<T: FromStr>(&mut self, key: &str) -> Result<T, ParseError> {
        if !self.eat_word(key) {
            return Err(self.expected(format_args!("`{key}=`")));
        }
        self.expect('=')?;
        self.parse("a number")
    }

    /// `prefix` directly followed by a number, as in `b12`.
    pub(super) fn id(&mut self, prefix: char, expected: &str) -> Result<u32, ParseError> {
        let id = self.peek_id(prefix).ok_or_else(|| self.expected(expected))?;
        self.pos += 1;
        Ok(id)
    }

    /// The number of the id with this prefix that comes next, if one does.
    pub(super) fn peek_id(&self, prefix: char) -> Option<u32> {
        let digits = self.peek_word()?.strip_prefix(prefix)?;
        let plain = digits.starts_with(|c: char| c.is_ascii_digit());
        if plain { digits.parse().ok() } else { None }
    }

    pub(super) fn string(&mut self) -> Result<String, ParseError> {
        match self.peek() {
            Token::Str(text) => {
                self.pos += 1;
                Ok(text.clone())
            }
            _ => Err(self.expected("a string")),
        }
    }

    /// `+n`, `-n` or nothing.
    pub(super) fn offset(&mut self) -> Result<i32, ParseError> {
        let is_sum = *self.peek() == Token::Punct('-') || self.eat('+');
        if is_sum { self.signed_offset() } else { Ok(0) }
    }

    /// A number with or without a minus.
    pub(super) fn signed_offset(&mut self) -> Result<i32, ParseError> {
        let start = *self;
        i32::try_from(self.int()?).map_err(|_| start.error("offset out of range"))
    }

    pub(super) fn data_name(&mut self) -> Result<&'t str, ParseError> {
        match self.peek() {
            Token::Data(name) => {
                self.pos += 1;
                Ok(name)
            }
            _ => Err(self.expected("a data object")),
        }
    }

    pub(super) fn func_name(&mut self) -> Result<&'t str, ParseError> {
        match self.peek() {
            Token::Func(name) => {
                self.pos += 1;
                Ok(name)
            }
            _ => Err(self.expected("a function")),
        }
    }

    /// `(i32, i64) -> (f32)`
    pub(super) fn signature(&mut self) -> Result<Signature, ParseError> {
        let params = self.list('(', ')', Self::ty)?;
        if *self.peek() != Token::Arrow {
            return Err(self.expected("`->`"));
        }
        self.pos += 1;
        Ok(Signature { params, results: self.list('(', ')', Self::ty)? })
    }

    /// A signature of the module: `(i32) -> (f32)`, or `(i32) -> (f32) #1` for the second one with this shape.
    pub(super) fn signature_of(&mut self, module: &Module) -> Result<SigId, ParseError> {
        let start = *self;
        let shape = self.signature()?;
        let number = if self.eat('#') { self.parse("a number")? } else { 0 };
        let known = module.numbered_signature(&shape, number);
        known.ok_or_else(|| start.error("the module doesn't have this signature"))
    }

    pub(super) fn ty(&mut self) -> Result<Type, ParseError> {
        let ty = self.peek_word().and_then(Type::from_name).ok_or_else(|| self.expected("a type"))?;
        self.pos += 1;
        Ok(ty)
    }

    /// `open item, item close`
    pub(super) fn list<T>(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect(open)?;
        let mut items = Vec::new();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(close) {
                return Ok(items);
            }
            self.expect(',')?;
        }
    }

    /// Hexadecimal bytes, or `empty`.
    pub(super) fn hex(&mut self) -> Result<Vec<u8>, ParseError> {
        let start = *self;
        let word = self.word("hexadecimal bytes")?;
        if word == "empty" {
            return Ok(Vec::new());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|d| d as u8);
        let pairs = word.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        pairs.collect::<Option<_>>().ok_or_else(|| start.expected("hexadecimal bytes"))
    }
}
