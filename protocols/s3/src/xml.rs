//! What of XML the answers of S3 hold: elements with text in them, no attributes that matter, no mixtures.

/// What stands in each element of this name, in order, as it is written.
pub fn elements<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some((_, behind)) = rest.split_once(&open) {
        let Some((inner, behind)) = behind.split_once(&close) else { break };
        found.push(inner);
        rest = behind;
    }
    found
}

/// The text of the first element of this name.
pub fn text(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).first().map(|text| unescaped(text))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let character = behind.split_once(';').and_then(|(name, behind)| {
            let character = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((character, behind))
        });
        rest = if let Some((character, behind)) = character {
            plain.push(character);
            behind
        } else {
            plain.push('&');
            behind
        };
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_their_texts_are_found() {
        let xml = "<R><C><Key>a&amp;b &lt;&#x41;&#66;</Key></C><C><Key>&odd; &</Key></C><C><Key>cut";
        let keys: Vec<_> = elements(xml, "C").into_iter().map(|one| text(one, "Key").unwrap()).collect();
        assert_eq!(keys, ["a&b <AB", "&odd; &"]);
        assert_eq!(text("<a/>", "a"), None);
        assert_eq!(text("", "a"), None);
        assert_eq!(unescaped("&#xD800;&#99999999999;&;"), "&#xD800;&#99999999999;&;");
    }
}
