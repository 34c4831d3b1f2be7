//! What a process of the service does: all of it, or a part beside others on one database.

use crate::config::{Database, names};
use anyhow::ensure;

/// A part of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Both in one process.
    Serve,
    /// Takes calls and keeps them; others run the attempts.
    Api,
    /// Runs attempts; of HTTP it only says whether it is well.
    Worker,
}

impl Role {
    /// The command that starts it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }

    /// Whether attempts run here.
    pub(crate) const fn runs_attempts(self) -> bool {
        !matches!(self, Self::Api)
    }

    /// Whether the API is here.
    pub(crate) const fn has_api(self) -> bool {
        !matches!(self, Self::Worker)
    }

    /// Refuses a part of the service on a database that nobody else can have open: what it leaves
    /// to others would never be done.
    ///
    /// # Errors
    /// With what to set.
    pub(crate) fn check(self, database: &Database) -> anyhow::Result<()> {
        ensure!(
            self == Self::Serve || database.is_shared(),
            "`{role}` is a part of the service and shares its database with the other processes, which takes Postgres: \
             set {name} to postgres://USER@HOST/NAME (it is {database} now), or use `serve`, which is all of it in one \
             process",
            role = self.as_str(),
            name = names::DATABASE_URL,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Place;

    #[test]
    fn parts_need_a_database_that_they_can_share() {
        let postgres = Database::Postgres(Place::parse("postgres://u:hunter2@h/d", &["postgres"]).unwrap());
        for database in [Database::Memory, Database::Sqlite("a.db".into())] {
            Role::Serve.check(&database).unwrap();
            for part in [Role::Api, Role::Worker] {
                let refused = part.check(&database).unwrap_err().to_string();
                assert!(refused.contains("Postgres") && refused.contains(part.as_str()), "{refused}");
            }
        }
        assert!([Role::Serve, Role::Api, Role::Worker].iter().all(|role| role.check(&postgres).is_ok()));
    }
}
