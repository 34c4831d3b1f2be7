//! The Merkle tree of RFC 6962 (section 2.1) and RFC 9162, over SHA-256.
//!
//! Leaves and nodes are hashed with different first bytes, so that no node passes for a leaf. A
//! tree of n leaves splits at the largest power of two under n.

use sha2::{Digest as _, Sha256};

/// A leaf's or a node's hash.
pub type Hash = [u8; 32];

/// The bytes of a hash in a list of leaves.
pub const HASH_BYTES: usize = 32;

/// The hash of a leaf: SHA-256 over 0x00 and its content.
pub fn leaf(content: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(content).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// The root over leaves that come one after the other: it holds one hash for each level.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    /// Roots of full subtrees, the largest first; the bits of `count` say of which sizes.
    stack: Vec<Hash>,
    count: u64,
}

impl Builder {
    /// One more leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.count.trailing_ones() {
            // There is one for each of these bits.
            let Some(left) = self.stack.pop() else { break };
            hash = node(&left, &hash);
        }
        self.stack.push(hash);
        self.count += 1;
    }

    /// How many leaves there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The root. Of no leaves it is the SHA-256 of nothing.
    pub fn root(&self) -> Hash {
        let mut rest = self.stack.iter().rev();
        let Some(last) = rest.next() else { return Sha256::digest([]).into() };
        rest.fold(*last, |right, left| node(left, &right))
    }
}

/// The root over these leaves.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut builder = Builder::default();
    for leaf in leaves {
        builder.push(*leaf);
    }
    builder.root()
}

/// What it takes to get from a leaf to the root, the lowest level first (RFC 9162, 2.1.3.1). Empty
/// where there is no such leaf.
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if index >= leaves.len() || leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if index < left.len() {
        let mut path = path(left, index);
        path.push(root(right));
        path
    } else {
        let mut path = path(right, index - left.len());
        path.push(root(left));
        path
    }
}

/// The largest power of two under `count`, which is 2 or more.
fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

/// The root to which a path leads from a leaf (RFC 9162, 2.1.3.2); `None` where it has another
/// length than such a path has.
pub fn root_of_path(leaf: Hash, index: u64, count: u64, path: &[Hash]) -> Option<Hash> {
    if index >= count {
        return None;
    }
    let (mut place, mut last) = (index, count - 1);
    let mut hash = leaf;
    for other in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            hash = node(other, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, other);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(text: &str) -> Hash {
        let mut hash = [0; HASH_BYTES];
        hex::decode_to_slice(text, &mut hash).unwrap();
        hash
    }

    /// The leaves of the reference tests of Certificate Transparency (merkle_tree_test.cc), which
    /// RFC 6962 came with.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn reference() -> Vec<Hash> {
        LEAVES.iter().map(|content| leaf(&hex::decode(content).unwrap())).collect()
    }

    #[test]
    fn roots_are_those_of_the_reference() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(root(&[]), hash(empty));
        for (count, wanted) in ROOTS.iter().enumerate() {
            assert_eq!(root(&reference()[..=count]), hash(wanted), "{} leaves", count + 1);
        }
    }

    #[test]
    fn paths_are_those_of_the_reference() {
        // (leaf, tree size) from 1, and the path.
        let cases: [(usize, usize, &[&str]); 4] = [
            (1, 1, &[]),
            (
                1,
                8,
                &[
                    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
                ],
            ),
            (
                6,
                8,
                &[
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                ],
            ),
            (3, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        ];
        let leaves = reference();
        for (number, size, wanted) in cases {
            let wanted: Vec<Hash> = wanted.iter().map(|text| hash(text)).collect();
            assert_eq!(path(&leaves[..size], number - 1), wanted, "leaf {number} of {size}");
        }
    }

    proptest! {
        #[test]
        fn every_leaf_has_a_path_and_nothing_else_has(
            count in 1_usize..200, at in any::<prop::sample::Index>(), flip in 0_usize..256,
            level in any::<prop::sample::Index>(),
        ) {
            let leaves: Vec<Hash> = (0..count).map(|number| leaf(&number.to_be_bytes())).collect();
            let index = at.index(count);
            let mut path = path(&leaves, index);
            let (place, size) = (index as u64, count as u64);
            let found = |path: &[Hash], place, size, leaf| root_of_path(leaf, place, size, path);
            prop_assert_eq!(found(&path, place, size, leaves[index]), Some(root(&leaves)));
            let mut other = leaves[index];
            other[flip / 8] ^= 1 << (flip % 8);
            prop_assert_ne!(found(&path, place, size, other), Some(root(&leaves)));
            for (place, size) in [((place + 1) % size, size), (size, size), (place, 0)] {
                if place != index as u64 || size == 0 {
                    prop_assert_ne!(found(&path, place, size, leaves[index]), Some(root(&leaves)));
                }
            }
            let longer = [path.clone(), vec![[7; HASH_BYTES]]].concat();
            prop_assert_ne!(found(&longer, place, size, leaves[index]), Some(root(&leaves)));
            if !path.is_empty() {
                prop_assert_ne!(found(&path[1..], place, size, leaves[index]), Some(root(&leaves)));
                let level = level.index(path.len());
                path[level][flip / 8] ^= 1 << (flip % 8);
                prop_assert_ne!(found(&path, place, size, leaves[index]), Some(root(&leaves)));
            }
        }

        #[test]
        fn one_by_one_is_the_same_as_by_halves(count in 0_usize..300) {
            fn halves(leaves: &[Hash]) -> Hash {
                match leaves {
                    [] => Sha256::digest([]).into(),
                    [only] => *only,
                    more => {
                        let (left, right) = more.split_at(split(more.len()));
                        node(&halves(left), &halves(right))
                    }
                }
            }
            let leaves: Vec<Hash> = (0..count).map(|number| leaf(&number.to_be_bytes())).collect();
            prop_assert_eq!(root(&leaves), halves(&leaves));
        }
    }
}
