//! The engines that the suite runs on.

use portway_store::{Audit, DatabaseUrl, Store};

use crate::account;
use crate::postgres::Database;

/// An empty database of an engine; it goes with this value.
#[derive(Debug)]
pub(crate) enum Engine {
    /// In memory: nothing but the engine itself.
    Memory,
    /// A file, which several stores can open.
    File(tempfile::TempDir),
    Postgres(Database),
}

impl Engine {
    pub(crate) fn memory() -> Self {
        Engine::Memory
    }

    pub(crate) fn file() -> Self {
        Engine::File(tempfile::tempdir().expect("a temporary folder"))
    }

    /// None when there is no PostgreSQL.
    pub(crate) async fn postgres() -> Option<Self> {
        Database::make().await.map(Engine::Postgres)
    }

    /// A store on the database; in memory each is another one.
    pub(crate) async fn open(&self) -> Store {
        let opened = match self {
            Engine::Memory => Store::open_in_memory().await,
            Engine::File(dir) => Store::open(&dir.path().join("portway.db")).await,
            Engine::Postgres(database) => Store::connect(&DatabaseUrl::new(database.url())).await,
        };
        opened.expect("an empty database opens")
    }

    /// A store with the accounts 1 and 2 and a feed.
    pub(crate) async fn filled(&self) -> Store {
        let store = self.open().await;
        fill(&store).await;
        store
    }
}

pub(crate) async fn fill(store: &Store) {
    store.begin_feed("first").await.expect("writable");
    for seed in [1, 2] {
        store.add_account(&account(seed), &Audit::default()).await.expect("writable");
    }
}

/// Makes a test of each function for each engine: `file` instead of `memory` where several stores share a database.
macro_rules! on_every_engine {
    ($sqlite:ident: $($test:ident),+ $(,)?) => {
        mod sqlite {
            use crate::engine::Engine;
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(Engine::$sqlite()).await;
                }
            )+
        }
        mod postgres {
            use crate::engine::Engine;
            $(
                #[tokio::test]
                async fn $test() {
                    if let Some(engine) = Engine::postgres().await {
                        super::$test(engine).await;
                    }
                }
            )+
        }
    };
}
pub(crate) use on_every_engine;
