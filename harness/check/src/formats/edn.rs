//! As much of EDN as histories are written in: maps, vectors, lists, strings, numbers, keywords, symbols, tags.

use std::{iter::Peekable, str::CharIndices};

use super::ParseError;

/// A datum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edn {
    Nil,
    Integer(i64),
    String(String),
    /// Without its colon.
    Keyword(String),
    /// Anything else that is one word: a symbol, a boolean, a number that is no integer.
    Word(String),
    /// A vector, list or set.
    Sequence(Vec<Edn>),
    Map(Map),
}

/// A map, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    /// Counted from 1.
    pub(crate) line: usize,
    entries: Vec<(Edn, Edn)>,
}

impl Map {
    /// What the keyword `name` leads to.
    pub(crate) fn field(&self, name: &str) -> Option<&Edn> {
        let mut fields = self.entries.iter();
        fields.find(|(key, _)| matches!(key, Edn::Keyword(word) if word == name)).map(|(_, v)| v)
    }
}

/// Chosen: histories are flat; what is nested deeper is none.
const DEPTH_MAX: usize = 16;

/// The maps of a history: one after the other, or in one vector or list.
pub(crate) fn read(text: &str) -> Result<Vec<Map>, ParseError> {
    let mut reader = Reader { text, chars: text.char_indices().peekable(), line: 1 };
    let mut maps = Vec::new();
    while reader.skip_blank() {
        let line = reader.line;
        match reader.datum(0)? {
            Edn::Map(map) => maps.push(map),
            Edn::Sequence(parts) => {
                for part in parts {
                    let Edn::Map(map) = part else { return Err(no_map(line)) };
                    maps.push(map);
                }
            }
            _ => return Err(no_map(line)),
        }
    }
    Ok(maps)
}

fn no_map(line: usize) -> ParseError {
    ParseError::new(line, "no event: must be a map such as {:process 0, :type :invoke, …}")
}

struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: usize,
}

impl Reader<'_> {
    /// Skips space, commas and comments; false at the end.
    fn skip_blank(&mut self) -> bool {
        while let Some(&(_, next)) = self.chars.peek() {
            match next {
                ';' => while self.chars.next_if(|&(_, next)| next != '\n').is_some() {},
                '\n' => {
                    self.line += 1;
                    self.chars.next();
                }
                ',' => drop(self.chars.next()),
                _ if next.is_whitespace() => drop(self.chars.next()),
                _ => return true,
            }
        }
        false
    }

    fn error(&self, what: &str) -> ParseError {
        ParseError::new(self.line, format!("no EDN: {what}"))
    }

    fn datum(&mut self, depth: usize) -> Result<Edn, ParseError> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deeply: an event is a flat map"));
        }
        if !self.skip_blank() {
            return Err(self.error("ends too early: complete the last event"));
        }
        let line = self.line;
        let Some(&(start, first)) = self.chars.peek() else { unreachable!("skip_blank said so") };
        match first {
            '{' => self.map(line, depth),
            '[' => self.sequence(']', depth),
            '(' => self.sequence(')', depth),
            '"' => self.string(),
            '#' => self.tagged(depth),
            '}' | ']' | ')' => Err(self.error(&format!("'{first}' closes nothing: remove it"))),
            _ => Ok(self.word(start)),
        }
    }

    fn map(&mut self, line: usize, depth: usize) -> Result<Edn, ParseError> {
        let Edn::Sequence(parts) = self.sequence('}', depth)? else {
            unreachable!("a sequence is read")
        };
        if parts.len() % 2 == 1 {
            return Err(ParseError::new(line, "no EDN: a map with a key that has no value"));
        }
        let mut parts = parts.into_iter();
        let mut entries = Vec::new();
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            entries.push((key, value));
        }
        Ok(Edn::Map(Map { line, entries }))
    }

    /// Everything up to `close`.
    fn sequence(&mut self, close: char, depth: usize) -> Result<Edn, ParseError> {
        self.chars.next();
        let mut parts = Vec::new();
        loop {
            self.skip_blank();
            if self.chars.next_if(|&(_, next)| next == close).is_some() {
                return Ok(Edn::Sequence(parts));
            }
            parts.push(self.datum(depth + 1)?);
        }
    }

    /// A tag is skipped: `#jepsen.history.Op{…}` is its map. `#{…}` is a set.
    fn tagged(&mut self, depth: usize) -> Result<Edn, ParseError> {
        self.chars.next();
        match self.chars.peek() {
            Some(&(_, '{')) => self.sequence('}', depth),
            Some(&(start, _)) => {
                self.word(start);
                self.datum(depth + 1)
            }
            None => Err(self.error("ends too early: complete the last event")),
        }
    }

    fn string(&mut self) -> Result<Edn, ParseError> {
        self.chars.next();
        let mut string = String::new();
        while let Some((_, next)) = self.chars.next() {
            match next {
                '"' => return Ok(Edn::String(string)),
                '\\' => string.push(match self.chars.next().map(|(_, next)| next) {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(other @ ('"' | '\\')) => other,
                    _ => return Err(self.error("unknown escape in a string")),
                }),
                _ => {
                    self.line += usize::from(next == '\n');
                    string.push(next);
                }
            }
        }
        Err(self.error("a string without end: close it"))
    }

    fn word(&mut self, start: usize) -> Edn {
        let ends = |next: char| next.is_whitespace() || ",{}[]()\";".contains(next);
        while self.chars.next_if(|&(_, next)| !ends(next)).is_some() {}
        let end = self.chars.peek().map_or(self.text.len(), |&(at, _)| at);
        let word = &self.text[start..end];
        match (word, word.strip_prefix(':')) {
            ("nil", _) => Edn::Nil,
            (_, Some(keyword)) => Edn::Keyword(keyword.to_owned()),
            _ => word.parse().map_or_else(|_| Edn::Word(word.to_owned()), Edn::Integer),
        }
    }
}
