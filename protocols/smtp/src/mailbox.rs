//! `local@domain`, with or without a name before it.

/// Somebody who gets or sends mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// For people.
    pub name: Option<String>,
    /// `local@domain`.
    pub address: String,
}

impl Mailbox {
    /// Takes a text apart, or says why it is no mailbox.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err("an address holds no control characters");
        }
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"').trim(), address.trim()),
            None => ("", text),
        };
        let (local, domain) = address.rsplit_once('@').ok_or("an address is written local@domain")?;
        let odd = |c: char| c.is_whitespace() || "<>()[],;:\\\"@".contains(c);
        if local.is_empty() || local.contains(odd) || local.len() > 64 {
            return Err("what stands before @ is no name of a mailbox");
        }
        if domain.is_empty() || domain.contains(odd) || domain.starts_with('.') || domain.ends_with('.') {
            return Err("what stands behind @ is no name of a host");
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { name, address: address.to_owned() })
    }

    /// What stands behind @.
    pub fn domain(&self) -> &str {
        self.address.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_taken_apart() {
        for (text, name, address) in [
            ("a@b.example", None, "a@b.example"),
            (" <a@b> ", None, "a@b"),
            ("Ada L. <ada@b.example>", Some("Ada L."), "ada@b.example"),
            ("\"L, Ada\" <ada@b>", Some("L, Ada"), "ada@b"),
        ] {
            let mailbox = Mailbox::parse(text).unwrap();
            assert_eq!((mailbox.name.as_deref(), mailbox.address.as_str()), (name, address));
        }
        for text in
            ["", "a", "@b", "a@", "a b@c", "a@b>\r\nRCPT TO:<x@y", "a@b, c@d", "x <a@b", "a@b@c", "a@.b", "<a@b> x"]
        {
            assert!(Mailbox::parse(text).is_err(), "{text}");
        }
    }
}
