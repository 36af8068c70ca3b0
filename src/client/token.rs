//! `twinfold token create`: an API key for a person or a system.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Server, http::ClientError, table, text_at};

#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make an API key; it is shown this once
    Create {
        /// Any of viewer, operator, admin and roles of your own, joined by commas
        #[arg(long = "role", value_delimiter = ',', required = true)]
        roles: Vec<String>,
        /// Only this twin and what is below it
        #[arg(long, value_name = "TWIN")]
        scope: Option<String>,
        /// Seconds until it ends; never unless given
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u64>,
        /// Who or what it is for
        #[arg(long, default_value = "made by twinfold token create")]
        name: String,
    },
}

impl TokenAction {
    pub fn run(self, server: &Server) -> Result<(), ClientError> {
        let Self::Create { roles, scope, expires_in, name } = self;
        let mut body = json!({"name": name, "roles": roles});
        if let Some(scope) = scope {
            body["scope"] = scope.into();
        }
        if let Some(seconds) = expires_in {
            body["expires_in"] = seconds.into();
        }
        server.print(&server.api()?.post("/principals", &body)?, human)
    }
}

fn human(answer: &Value) -> String {
    format!("{}\n", table::clean(&text_at(answer, "/key")))
}
