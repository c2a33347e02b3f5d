//! Words, texts and punctuation of `$filter`, for both readers of filters. Knows no property and no operator.

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Names, numbers, dates, operators.
    Word(String),
    /// What stood in quotes.
    Text(String),
    Open,
    Close,
    Comma,
}

/// The tokens of a filter; `None` when a quote is not closed.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' => {}
            '(' => out.push(Token::Open),
            ')' => out.push(Token::Close),
            ',' => out.push(Token::Comma),
            '\'' => {
                let mut value = String::new();
                loop {
                    match chars.next()? {
                        '\'' if chars.peek() == Some(&'\'') => {
                            chars.next();
                            value.push('\'');
                        }
                        '\'' => break,
                        other => value.push(other),
                    }
                }
                out.push(Token::Text(value));
            }
            first => {
                let mut word = String::from(first);
                while let Some(c) = chars.next_if(|c| !matches!(c, ' ' | '(' | ')' | ',' | '\'')) {
                    word.push(c);
                }
                out.push(Token::Word(word));
            }
        }
    }
    Some(out)
}
