//! A budget for words that plain technical English needs rarely.
//!
//! Frequent use of these words shows sentences that describe a thing without naming it ("what is behind the call"
//! instead of "the continuation"). The budget is in occurrences per 1,000 words, over all comments of `crates/` and
//! over all documents.

/// A group of words, and its budget per 1,000 words of text.
type Budget = (&'static [&'static str], f64);

/// Phrases of one or two words, in lower case.
const BUDGETS: [Budget; 4] = [
    (&["what"], 1.5),
    (&["behind"], 0.2),
    (&["stand", "stands", "standing"], 0.2),
    (&["nobody", "somebody", "nothing that"], 0.2),
];

/// Complaints about the words of one kind of text.
pub fn complaints(kind: &str, text: &str) -> Vec<String> {
    let words = words(text);
    let thousands = words.len().max(1) as f64 / 1000.0;
    let rate = |phrases: &[&str]| {
        let count: usize = phrases.iter().map(|phrase| occurrences(&words, phrase)).sum();
        count as f64 / thousands
    };
    let over = BUDGETS.iter().map(|&(phrases, budget)| (phrases, rate(phrases), budget));
    let over = over.filter(|&(_, rate, budget)| rate > budget);
    over.map(|(phrases, rate, budget)| {
        format!("{kind}: {} {rate:.2} times per 1,000 words, more than {budget}", phrases.join("/"))
    })
    .collect()
}

/// The comments of a source file, without their markers.
pub fn comments(source: &str) -> impl Iterator<Item = &str> {
    let comments = source.lines().filter_map(|line| line.trim_start().strip_prefix("//"));
    comments.map(|comment| comment.trim_start_matches(['/', '!']))
}

/// A document without its code blocks.
pub fn prose(document: &str) -> String {
    document.split("```").step_by(2).collect()
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphabetic() && c != '\'');
    words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

fn occurrences(words: &[String], phrase: &str) -> usize {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    words.windows(phrase.len()).filter(|window| window.iter().zip(&phrase).all(|(a, b)| a == b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_are_complaints() {
        let source = "//! What it does.\nlet what = 1;\n/// Nothing that\n// matters, whatever\n";
        let text: String = comments(source).collect();
        assert_eq!(words(&text), ["what", "it", "does", "nothing", "that", "matters", "whatever"]);
        assert_eq!(complaints("comments", &text).len(), 2);
        assert_eq!(complaints("comments", &"plain words ".repeat(1000)), [""; 0]);
        assert_eq!(prose("a ```what``` b"), "a  b");
    }
}
