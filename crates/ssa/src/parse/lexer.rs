//! The lexer of the text form.
//!
//! Statements in function bodies end with the line, so line ends are tokens; the cursor skips them where they are
//! insignificant. Every token has its line for error messages.

use std::borrow::Cow;

use super::ParseError;
use crate::text::is_word_byte;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token<'a> {
    /// A keyword, number, opcode, block, value or slot.
    Word(&'a str),
    /// `@name`
    Data(Cow<'a, str>),
    /// `$name`
    Func(Cow<'a, str>),
    /// `"text"`
    Str(String),
    /// `->`
    Arrow,
    /// Any other single character.
    Punct(char),
    /// The end of a line.
    Newline,
    /// The end of the text; always the last token.
    End,
}

impl Token<'_> {
    /// The token as error messages show it.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Word(word) => format!("`{word}`"),
            Token::Data(name) => format!("`@{name}`"),
            Token::Func(name) => format!("`${name}`"),
            Token::Str(text) => format!("{text:?}"),
            Token::Arrow => "`->`".to_owned(),
            Token::Punct(c) => format!("`{c}`"),
            Token::Newline => "end of line".to_owned(),
            Token::End => "end of text".to_owned(),
        }
    }
}

/// A token and its line, counted from 1.
pub(super) type Spanned<'a> = (Token<'a>, u32);

/// Splits `text` into tokens.
pub(super) fn lex(text: &str) -> Result<Vec<Spanned<'_>>, ParseError> {
    let mut lexer = Lexer { rest: text, line: 1 };
    let mut tokens = Vec::new();
    loop {
        let line = lexer.line;
        let token = lexer.next()?;
        let done = token == Token::End;
        tokens.push((token, line));
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Token<'a>, ParseError> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        if self.rest.starts_with(';') {
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        if first.is_ascii() && is_word_byte(first as u8) {
            return Ok(Token::Word(self.word()));
        }
        if let Some(rest) = self.rest.strip_prefix("->") {
            self.rest = rest;
            return Ok(Token::Arrow);
        }
        if first == '"' {
            return Ok(Token::Str(self.string()?));
        }
        self.rest = &self.rest[first.len_utf8()..];
        match first {
            '\n' => {
                self.line = self.line.saturating_add(1);
                Ok(Token::Newline)
            }
            '@' => Ok(Token::Data(self.name()?)),
            '$' => Ok(Token::Func(self.name()?)),
            other => Ok(Token::Punct(other)),
        }
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.bytes().position(|b| !is_word_byte(b)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn name(&mut self) -> Result<Cow<'a, str>, ParseError> {
        if self.rest.starts_with('"') {
            return self.string().map(Cow::Owned);
        }
        match self.word() {
            "" => Err(self.error("expected a name after `@` or `$`")),
            word => Ok(Cow::Borrowed(word)),
        }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let mut out = String::new();
        let mut rest = &self.rest[1..];
        loop {
            let special = rest.find(['"', '\\', '\n']).ok_or_else(|| self.error("unterminated string"))?;
            out.push_str(&rest[..special]);
            let tail = &rest[special..];
            rest = match tail.as_bytes()[0] {
                b'"' => {
                    self.rest = &tail[1..];
                    return Ok(out);
                }
                b'\\' => {
                    let (c, rest) = unescape(tail).ok_or_else(|| self.error("bad escape in string"))?;
                    out.push(c);
                    rest
                }
                _ => return Err(self.error("unterminated string")),
            };
        }
    }

    fn error(&self, message: &str) -> ParseError {
        ParseError { line: self.line, message: message.to_owned() }
    }
}

/// Decodes `\u{hex}` at the start of `text`; returns the character and the rest of the text.
fn unescape(text: &str) -> Option<(char, &str)> {
    let (digits, rest) = text.strip_prefix("\\u{")?.split_once('}')?;
    Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, rest))
}
