//! Reading build attributes: the inverse of `elf/write/attributes.rs`.

/// The value of a tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A number.
    Number(u32),
    /// A string.
    Text(String),
}

/// `Tag_CPU_name`.
pub const CPU_NAME: u32 = 5;
/// `Tag_FP_arch`.
pub const FP_ARCH: u32 = 10;
/// `Tag_ABI_HardFP_use`.
pub const HARD_FP: u32 = 27;

/// Tags of the whole file with their values, in order; unreadable bytes end the list.
pub fn read(section: &[u8]) -> Vec<(u32, Value)> {
    // Version, length of the subsection, its vendor, then `Tag_File` and its length.
    let vendor = b"aeabi\0";
    let Some(rest) = section.get(5..).and_then(|rest| rest.strip_prefix(vendor)) else { return Vec::new() };
    let (Some(1), Some(mut rest)) = (rest.first(), rest.get(5..)) else { return Vec::new() };
    let mut tags = Vec::new();
    while let Some(tag) = number(&mut rest) {
        let is_text = matches!(tag, 4 | 5 | 65 | 67);
        let value =
            if is_text { text(&mut rest).map(Value::Text) } else { number(&mut rest).map(Value::Number) };
        let Some(value) = value else { break };
        tags.push((tag, value));
    }
    tags
}

/// The string of a tag.
pub fn text_of(tags: &[(u32, Value)], wanted: u32) -> Option<&str> {
    tags.iter().find_map(|(tag, value)| match value {
        Value::Text(text) if *tag == wanted => Some(text.as_str()),
        _ => None,
    })
}

/// The number of a tag; 0 if it is absent.
pub fn number_of(tags: &[(u32, Value)], wanted: u32) -> u32 {
    let numbers = tags.iter().find_map(|(tag, value)| match value {
        Value::Number(number) if *tag == wanted => Some(*number),
        _ => None,
    });
    numbers.unwrap_or(0)
}

/// A ULEB128 number of at most 32 bits.
pub fn number(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|&byte| byte == 0)?;
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    Some(text)
}
