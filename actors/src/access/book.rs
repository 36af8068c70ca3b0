//! What is known of principals and roles, in the form in which a request asks for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use hierarchy_models::{
    Name,
    access::{Granted, Rights, Role},
};

use super::{Subject, keys::Hash, principals::Principal};

/// A principal as it is stored, and as it is recognised.
#[derive(Clone)]
pub struct Entry {
    pub principal: Principal,
    pub sha256: Option<Hash>,
    pub grants_made: u64,
    /// Worked out of the grants and the roles by the book.
    pub subject: Arc<Subject>,
}

impl Entry {
    pub fn new(principal: Principal, sha256: Option<Hash>, grants_made: u64) -> Self {
        let subject = Subject { id: principal.id.clone(), name: principal.name.clone(), granted: Granted::default(), by_token: false };
        Self { principal, sha256, grants_made, subject: Arc::new(subject) }
    }
}

pub struct Book {
    pub principals: BTreeMap<String, Entry>,
    /// Principals by the subject of their tokens.
    pub by_subject: HashMap<String, String>,
    pub roles: BTreeMap<Name, Rights>,
}

impl Default for Book {
    fn default() -> Self {
        let roles = Role::built_in().into_iter().map(|role| (role.name, role.rights)).collect();
        Self { principals: BTreeMap::new(), by_subject: HashMap::new(), roles }
    }
}

impl Book {
    pub fn put(&mut self, mut entry: Entry) {
        self.settle(&mut entry);
        self.remove(&entry.principal.id.clone());
        if let Some(subject) = &entry.principal.subject {
            self.by_subject.insert(subject.clone(), entry.principal.id.clone());
        }
        self.principals.insert(entry.principal.id.clone(), entry);
    }

    pub fn remove(&mut self, id: &str) {
        if let Some(gone) = self.principals.remove(id)
            && let Some(subject) = gone.principal.subject
        {
            self.by_subject.remove(&subject);
        }
    }

    pub fn put_role(&mut self, role: Role) {
        self.roles.insert(role.name, role.rights);
        self.settle_all();
    }

    pub fn remove_role(&mut self, name: &str) {
        self.roles.remove(name);
        self.settle_all();
    }

    /// What all of its grants come to. A role that is not there gives nothing.
    fn settle(&self, entry: &mut Entry) {
        let rights = |role: &Name| self.roles.get(role).copied().unwrap_or_default();
        let granted = Granted::of(entry.principal.grants.iter().map(|grant| (rights(&grant.role), grant.under.as_ref())));
        let (id, name) = (entry.principal.id.clone(), entry.principal.name.clone());
        entry.subject = Arc::new(Subject { id, name, granted, by_token: false });
    }

    fn settle_all(&mut self) {
        let mut principals = std::mem::take(&mut self.principals);
        principals.values_mut().for_each(|entry| self.settle(entry));
        self.principals = principals;
    }
}
