//! Passwords: Argon2id behind a gate.
//!
//! # Threads
//! The client's own thread waits while its hash is made, in a block of memory that is lent. There are
//! as many blocks as hashes may be at work at a time; holding one is the permission to hash.
//! The memory is kept: 200 logins at once take no more than the blocks.

use argon2::password_hash::{Output, PasswordHash as Phc};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use crossbeam_channel::{Receiver, Sender, bounded};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::Refusal;
use crate::protocol::Password;
use crate::store::PasswordHash;
use crate::thread::deeply;

/// OWASP's figures for Argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Lends memory to hash in. Shared by all clients' threads.
pub(crate) struct PasswordHasher {
    lend: Receiver<Vec<Block>>,
    give_back: Sender<Vec<Block>>,
}

impl PasswordHasher {
    /// For `hashes_max` hashes at work at a time.
    pub(crate) fn new(hashes_max: usize) -> Self {
        let (give_back, lend) = bounded(hashes_max);
        for _ in 0..hashes_max {
            // Empty: memory is taken when it is first needed.
            give_back.try_send(Vec::new()).ok();
        }
        Self { lend, give_back }
    }

    /// A hash to keep, with a salt of its own. Waits its turn.
    pub(crate) fn hash(&self, password: &Password) -> Result<PasswordHash, Refusal> {
        let params =
            Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(Refusal::internal)?;
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| Refusal::internal("no randomness"))?;
        let mut hash = [0; HASH_BYTES];
        self.fill(
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            password,
            &salt,
            &mut hash,
        )?;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        let costs = format!("m={MEMORY_KIB},t={PASSES},p={LANES}");
        Ok(PasswordHash::from_phc(format!("$argon2id$v=19${costs}${salt}${hash}")))
    }

    /// Whether it is this password, in constant time. Waits its turn. `Internal` for a hash
    /// that is not Argon2 in PHC form.
    pub(crate) fn verify(&self, password: &Password, hash: &PasswordHash) -> Result<bool, Refusal> {
        let unreadable = |problem| Refusal::internal(format_args!("a stored hash: {problem}"));
        let phc = Phc::new(hash.as_phc()).map_err(unreadable)?;
        let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else {
            return Err(Refusal::internal("a stored hash without salt or hash"));
        };
        let algorithm = Algorithm::try_from(phc.algorithm).map_err(unreadable)?;
        let version = phc.version.map_or(Ok(Version::V0x13), Version::try_from);
        let version = version.map_err(Refusal::internal)?;
        let params = Params::try_from(&phc).map_err(unreadable)?;
        let mut salt_bytes = [0; 64];
        let salt = salt.decode_b64(&mut salt_bytes).map_err(unreadable)?;
        let found = Output::init_with(expected.len(), |found| {
            let argon2 = Argon2::new(algorithm, version, params);
            self.fill(argon2, password, salt, found)
                .map_err(|_| argon2::password_hash::Error::Crypto)
        });
        // `Output` compares in constant time.
        Ok(found.map_err(unreadable)? == expected)
    }

    fn fill(
        &self,
        argon2: Argon2<'_>,
        password: &Password,
        salt: &[u8],
        hash: &mut [u8],
    ) -> Result<(), Refusal> {
        let memory = self.lend.recv().map_err(Refusal::internal)?;
        let mut lent = Lent { memory, give_back: &self.give_back };
        let blocks = argon2.params().block_count();
        // Older servers may have used other figures; ours never shrinks it.
        if lent.memory.len() < blocks {
            lent.memory.resize(blocks, Block::default());
        }
        let memory = &mut lent.memory;
        deeply(|| {
            argon2.hash_password_into_with_memory(password.as_bytes(), salt, hash, &mut *memory)
        })
        .map_err(Refusal::internal)
    }
}

/// Gives the memory back, also when hashing fails.
struct Lent<'h> {
    memory: Vec<Block>,
    give_back: &'h Sender<Vec<Block>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.give_back.try_send(std::mem::take(&mut self.memory)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_hash_is_argon2id_with_owasps_figures_and_knows_its_password() {
        let hasher = PasswordHasher::new(1);
        let hash = hasher.hash(&password("secret")).unwrap();
        assert!(hash.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(hash, hasher.hash(&password("secret")).unwrap(), "a salt of its own");
        assert_eq!(hasher.verify(&password("secret"), &hash), Ok(true));
        assert_eq!(hasher.verify(&password("Secret"), &hash), Ok(false));
    }

    #[test]
    fn hashes_of_older_servers_are_verified() {
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$wAgmVY18H6zfFmswP/TzHg\
                    $z7HuoIgupyXpPRTyV6E+poQ2JuXCQRW4njPo+cFwjrw";
        let hash = PasswordHash::from_phc(hash.to_owned());
        let hasher = PasswordHasher::new(2);
        assert_eq!(hasher.verify(&password("alice-secret"), &hash), Ok(true));
        let broken = PasswordHash::from_phc("plain".to_owned());
        assert!(matches!(hasher.verify(&password("plain"), &broken), Err(Refusal::Internal(_))));
    }
}
