//! Longest match of a name among many patterns.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use equivalent::Equivalent;

use crate::{HostName, HostPattern};

/// Values by host pattern. [`HostTable::get`] finds the value of the most specific pattern that matches a name: the name itself
/// before wildcards, a longer wildcard before a shorter one. A lookup allocates nothing and costs one probe for each label at most.
#[derive(Clone, Debug)]
pub struct HostTable<V> {
    exact: HashMap<HostName, V, HostHash>,
    wildcard: HashMap<HostName, V, HostHash>,
}

impl<V> HostTable<V> {
    /// An empty table. The key of its hash is taken from the standard library's random state.
    pub fn new() -> Self {
        let random = RandomState::new();
        Self::with_seed([random.hash_one(0_u64), random.hash_one(1_u64)])
    }

    /// An empty table whose hash is keyed with `seed`. Whoever can choose names must not know it.
    pub fn with_seed(seed: [u64; 2]) -> Self {
        let hash = HostHash { seed };
        Self { exact: HashMap::with_hasher(hash), wildcard: HashMap::with_hasher(hash) }
    }

    /// Makes room for `additional` more names that are not wildcards.
    pub fn reserve(&mut self, additional: usize) {
        self.exact.reserve(additional);
    }

    /// Sets the value of a pattern and returns the one it had.
    pub fn insert(&mut self, pattern: HostPattern, value: V) -> Option<V> {
        match pattern {
            HostPattern::Exact(name) => self.exact.insert(name, value),
            HostPattern::Wildcard(base) => self.wildcard.insert(base, value),
        }
    }

    /// Takes a pattern out and returns its value.
    pub fn remove(&mut self, pattern: &HostPattern) -> Option<V> {
        match pattern {
            HostPattern::Exact(name) => self.exact.remove(name.as_str()),
            HostPattern::Wildcard(base) => self.wildcard.remove(base.as_str()),
        }
    }

    /// The value of the most specific pattern that matches.
    pub fn get(&self, name: &HostName) -> Option<&V> {
        match_order(name).find_map(|key| self.probe(key))
    }

    /// The value of this very pattern.
    pub fn get_exact(&self, pattern: &HostPattern) -> Option<&V> {
        self.probe(LookupKey::from(pattern))
    }

    /// The value of this very pattern, to be changed.
    pub fn get_exact_mut(&mut self, pattern: &HostPattern) -> Option<&mut V> {
        match pattern {
            HostPattern::Exact(name) => self.exact.get_mut(name.as_str()),
            HostPattern::Wildcard(base) => self.wildcard.get_mut(base.as_str()),
        }
    }

    /// Every pattern and its value, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (HostPattern, &V)> {
        let exact = self.exact.iter().map(|(name, value)| (HostPattern::Exact(name.clone()), value));
        exact.chain(self.wildcard.iter().map(|(base, value)| (HostPattern::Wildcard(base.clone()), value)))
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.exact.clear();
        self.wildcard.clear();
    }

    /// How many patterns it holds.
    pub fn len(&self) -> usize {
        self.exact.len() + self.wildcard.len()
    }

    /// True when it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn probe(&self, key: LookupKey<'_>) -> Option<&V> {
        match key {
            LookupKey::Exact(name) => self.exact.get(name),
            LookupKey::Wildcard(_) if self.wildcard.is_empty() => None,
            LookupKey::Wildcard(base) => self.wildcard.get(base),
        }
    }
}

impl<V> Default for HostTable<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Extend<(HostPattern, V)> for HostTable<V> {
    fn extend<I: IntoIterator<Item = (HostPattern, V)>>(&mut self, patterns: I) {
        for (pattern, value) in patterns {
            self.insert(pattern, value);
        }
    }
}

impl<V> FromIterator<(HostPattern, V)> for HostTable<V> {
    fn from_iter<I: IntoIterator<Item = (HostPattern, V)>>(patterns: I) -> Self {
        let mut table = Self::new();
        table.extend(patterns);
        table
    }
}

/// A pattern without its own memory, to ask a map with. Equality and hash agree with [`HostPattern`]'s, and it is [`Equivalent`] to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupKey<'a> {
    /// This name.
    Exact(&'a str),
    /// `*.` and this base.
    Wildcard(&'a str),
}

impl<'a> From<&'a HostPattern> for LookupKey<'a> {
    fn from(pattern: &'a HostPattern) -> Self {
        match pattern {
            HostPattern::Exact(name) => LookupKey::Exact(name.as_str()),
            HostPattern::Wildcard(base) => LookupKey::Wildcard(base.as_str()),
        }
    }
}

impl Equivalent<HostPattern> for LookupKey<'_> {
    fn equivalent(&self, pattern: &HostPattern) -> bool {
        *self == LookupKey::from(pattern)
    }
}

/// Every pattern that matches `host`, most specific first: the name, then wildcards from the longest base to the shortest. For maps
/// that readers and writers share; [`HostTable`] does it for its own.
pub fn match_order(host: &HostName) -> impl Iterator<Item = LookupKey<'_>> {
    let name = host.as_str();
    let bases = name.match_indices('.').map(|(dot, _)| LookupKey::Wildcard(&name[dot + 1..]));
    std::iter::once(LookupKey::Exact(name)).chain(bases)
}

/// Makes [`NameHasher`]s of one key.
#[derive(Clone, Copy)]
struct HostHash {
    seed: [u64; 2],
}

impl std::fmt::Debug for HostHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key is what makes collisions unpredictable.
        f.write_str("HostHash")
    }
}

impl BuildHasher for HostHash {
    type Hasher = NameHasher;

    fn build_hasher(&self) -> NameHasher {
        NameHasher { state: self.seed[0], key: self.seed[1] | 1 }
    }
}

/// A keyed hash for short texts: each 16 bytes are mixed by one 64 x 64 -> 128 bit multiplication whose halves are folded together.
struct NameHasher {
    state: u64,
    key: u64,
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(16);
        for chunk in &mut chunks {
            self.mix(chunk);
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            self.mix(&last);
        }
        self.state ^= bytes.len() as u64;
    }

    fn write_u8(&mut self, _end_of_text: u8) {
        // `str` ends its hash with one fixed byte so that pairs of texts differ; here the length does that.
    }

    fn finish(&self) -> u64 {
        fold(self.state ^ self.key, 0x9E37_79B9_7F4A_7C15)
    }
}

impl NameHasher {
    fn mix(&mut self, chunk: &[u8]) {
        let (low, high) = chunk.split_at(8);
        let low = u64::from_le_bytes(low.try_into().expect("half of 16 bytes"));
        let high = u64::from_le_bytes(high.try_into().expect("half of 16 bytes"));
        self.state = fold(low ^ self.state, high ^ self.key).rotate_left(23);
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::hash::Hash;

    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let patterns = ["a.com", "*.a.com", "*.x.a.com", "y.x.a.com", "*.com"];
        let table: HostTable<&str> = patterns.iter().map(|&text| (pattern(text), text)).collect();
        let get = |name: &str| table.get(&name.parse().unwrap()).copied();
        assert_eq!(get("a.com"), Some("a.com"));
        assert_eq!(get("b.a.com"), Some("*.a.com"));
        assert_eq!(get("x.a.com"), Some("*.a.com"));
        assert_eq!(get("z.x.a.com"), Some("*.x.a.com"));
        assert_eq!(get("y.x.a.com"), Some("y.x.a.com"));
        assert_eq!(get("q.y.x.a.com"), Some("*.x.a.com"));
        assert_eq!(get("evila.com"), Some("*.com"));
        assert_eq!(get("com"), None);
        assert_eq!(get("a.org"), None);
    }

    #[test]
    fn the_order_of_matching() {
        let name = "a.b.c".parse().unwrap();
        let keys: Vec<_> = match_order(&name).collect();
        assert_eq!(keys, [LookupKey::Exact("a.b.c"), LookupKey::Wildcard("b.c"), LookupKey::Wildcard("c")]);
    }

    #[test]
    fn a_lookup_key_hashes_like_its_pattern() {
        let hash = |value: &dyn Fn(&mut NameHasher)| {
            let mut hasher = HostHash { seed: [7, 9] }.build_hasher();
            value(&mut hasher);
            hasher.finish()
        };
        for text in ["a.b.c", "*.b.c"] {
            let pattern = pattern(text);
            let key = LookupKey::from(&pattern);
            assert!(key.equivalent(&pattern));
            assert_eq!(hash(&|hasher| pattern.hash(hasher)), hash(&|hasher| key.hash(hasher)));
        }
        assert!(!LookupKey::Exact("b.c").equivalent(&pattern("*.b.c")));
    }

    #[test]
    fn the_hash_spreads_similar_names() {
        let hash = HostHash { seed: [0x0123_4567_89AB_CDEF, 0x1357_9BDF_0246_8ACE] };
        let names: Vec<_> = (0..100_000).map(|nr| format!("app-{nr}.tenant-{}.example.com", nr % 97)).collect();
        // The map takes its bucket from the low bits and a tag of 7 bits from the top.
        let mut buckets = vec![0_u32; 1 << 14];
        let mut tags = [0_u32; 128];
        for name in &names {
            let value = hash.hash_one(name.as_str());
            buckets[(value & 0x3FFF) as usize] += 1;
            tags[(value >> 57) as usize] += 1;
        }
        // 6.1 expected in each of 16384, 781 in each of 128: the bounds are about 7 standard deviations away.
        assert!(*buckets.iter().max().unwrap() <= 26, "{:?}", buckets.iter().max());
        assert!(tags.iter().all(|&count| (580..=980).contains(&count)), "{tags:?}");
    }

    #[test]
    fn another_key_is_another_hash() {
        let hash = |seed| HostHash { seed }.hash_one("app.example.com");
        assert_ne!(hash([1, 2]), hash([1, 4]));
        assert_ne!(hash([1, 2]), hash([3, 2]));
    }

    /// What a table does, in the simplest words.
    #[derive(Default)]
    struct Naive(Vec<(HostPattern, u32)>);

    impl Naive {
        fn insert(&mut self, pattern: HostPattern, value: u32) -> Option<u32> {
            let old = self.remove(&pattern);
            self.0.push((pattern, value));
            old
        }

        fn remove(&mut self, pattern: &HostPattern) -> Option<u32> {
            let at = self.0.iter().position(|(known, _)| known == pattern)?;
            Some(self.0.swap_remove(at).1)
        }

        fn get(&self, name: &HostName) -> Option<u32> {
            let matching = self.0.iter().filter(|(pattern, _)| pattern.matches(name));
            let best = matching.max_by_key(|(pattern, _)| (!pattern.is_wildcard(), pattern.name().as_str().len()));
            best.map(|(_, value)| *value)
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_table(
            steps in proptest::collection::vec((any::<bool>(), "(\\*\\.)?([ab]\\.){0,3}[cd]"), 0..60),
            names in proptest::collection::vec("([ab]\\.){0,4}[cd]", 0..20),
            seed in any::<[u64; 2]>(),
        ) {
            let mut table = HostTable::with_seed(seed);
            let mut naive = Naive::default();
            for (nr, (insert, text)) in (0..).zip(steps) {
                let pattern = pattern(&text);
                if insert {
                    prop_assert_eq!(table.insert(pattern.clone(), nr), naive.insert(pattern, nr));
                } else {
                    prop_assert_eq!(table.remove(&pattern), naive.remove(&pattern));
                }
            }
            prop_assert_eq!(table.len(), naive.0.len());
            for name in names {
                let name: HostName = name.parse().unwrap();
                prop_assert_eq!(table.get(&name).copied(), naive.get(&name));
            }
            for (pattern, value) in &naive.0 {
                prop_assert_eq!(table.get_exact(pattern), Some(value));
                prop_assert_eq!(table.get_exact_mut(pattern), Some(&mut value.clone()));
            }
            let mut all: Vec<_> = table.iter().map(|(pattern, value)| (pattern, *value)).collect();
            all.sort();
            naive.0.sort();
            prop_assert_eq!(all, naive.0);
            table.clear();
            prop_assert!(table.is_empty());
        }
    }
}
