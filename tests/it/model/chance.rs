//! Randomness that a number repeats: splitmix64.

/// The same seed gives the same choices.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        let mut chance = Self(seed);
        // Neighbouring seeds begin alike; one step parts them.
        Self(chance.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// From 0 to `bound` - 1.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Both ends included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True that often in a hundred times.
    pub fn percent(&mut self, often: usize) -> bool {
        self.below(100) < often
    }

    /// One of them; there must be one.
    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    /// One of the values, each as often as its weight says.
    pub fn weighed<T: Copy>(&mut self, list: &[(usize, T)]) -> T {
        let mut left = self.below(list.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in list {
            match left.checked_sub(*weight) {
                None => return *value,
                Some(rest) => left = rest,
            }
        }
        unreachable!("less than the sum of the weights is within one of them")
    }
}

/// The published results of splitmix64 for the seed 1234567.
#[test]
fn the_generator_is_splitmix64() {
    let mut chance = Chance(1_234_567);
    assert_eq!(chance.next(), 6_457_827_717_110_365_317);
    assert_eq!(chance.next(), 3_203_168_211_198_807_973);
}
