//! The Aster chat server.
