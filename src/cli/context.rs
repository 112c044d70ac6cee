//! What a command works with: the mesh it is about, and the daemon that has it mounted, if one has.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::address::{self, Here as CurrentFolder};
use super::args::Global;
use super::ui::Ui;
use crate::daemon::config::{Settings, Wishes};
use crate::daemon::control::client::Client;
use crate::daemon::control::protocol::{BranchName, Reply, Request};
use crate::daemon::failure::Failure;
use crate::daemon::here::Here;
use crate::daemon::instance::{self, Info};
use crate::daemon::mounts::Inside;
use crate::daemon::{mounts, run, store_name, verbs};
use crate::model::address::{Address, View};
use crate::repo::domain::Domain;
use crate::repo::mesh::{Mesh, MeshOptions};

/// The mesh that the command is about, decided once all its addresses are known.
#[derive(Clone, Debug)]
pub struct Connection {
    pub store: String,
    /// With the state and cache folders of the daemon, when there is one.
    pub settings: Settings,
    pub daemon: Option<Info>,
    /// The mount that an address lies in, when its daemon cannot be found by this user.
    pub foreign_mount: Option<PathBuf>,
}

pub struct Context<'a> {
    pub ui: &'a Ui,
    pub settings: Settings,
    current: CurrentFolder,
    /// The mount that an address of this command was taken from.
    taken_from: OnceCell<Inside>,
    connection: OnceCell<Connection>,
    mesh: tokio::sync::OnceCell<Mesh>,
    here: tokio::sync::OnceCell<Here>,
}

impl<'a> Context<'a> {
    pub fn new(ui: &'a Ui, global: Global) -> Result<Context<'a>, Failure> {
        // A variable that is set to nothing is as good as unset.
        let set = |dir: &PathBuf| !dir.as_os_str().is_empty();
        let wishes = Wishes {
            store: global.store,
            state_dir: global.state_dir.filter(set),
            cache_dir: global.cache_dir.filter(set),
        };
        Ok(Context {
            ui,
            settings: Settings::load(wishes)?,
            current: CurrentFolder::look(),
            taken_from: OnceCell::new(),
            connection: OnceCell::new(),
            mesh: tokio::sync::OnceCell::new(),
            here: tokio::sync::OnceCell::new(),
        })
    }

    /// The address that an argument means.
    pub fn address(&self, text: &OsStr) -> Result<Address, Failure> {
        if !address::is_local(text) {
            return address::parse(text);
        }
        let (address, inside) = address::of_local_path(text)?;
        self.take_from(inside)?;
        Ok(address)
    }

    /// The address that an argument means; without one, the branch or snapshot that the current folder is in.
    pub fn address_or_branch_here(&self, text: Option<&OsString>) -> Result<Address, Failure> {
        match text {
            Some(text) => self.address(text),
            None => Ok(Address { path: Default::default(), ..self.address_here()? }),
        }
    }

    /// The address that an argument means; without one, the current folder.
    pub fn address_or_here(&self, text: Option<&OsString>) -> Result<Address, Failure> {
        text.map_or_else(|| self.address_here(), |text| self.address(text))
    }

    fn address_here(&self) -> Result<Address, Failure> {
        let (address, inside) = self.current.address()?;
        self.take_from(inside)?;
        Ok(address)
    }

    /// The current folder's address, if it is in a mount, without deciding anything by it.
    pub fn current_address(&self) -> Option<Address> {
        self.current.address().ok().map(|(address, _)| address)
    }

    /// An address decides which mount the command is about; all of them must agree.
    fn take_from(&self, inside: Inside) -> Result<(), Failure> {
        let source = mount_source(&inside);
        if let (Some(asked), Some(source)) = (&self.settings.asked_store, &source)
            && !store_name::same(asked, source)
        {
            return Err(Failure::usage(format!(
                "the address lies in the mount {}, whose store is {source}, but the store asked for is {asked}",
                inside.mountpoint.display()
            ))
            .hint("leave out --store and MESHFS_STORE, or write the address as DOMAIN/BRANCH/PATH"));
        }
        let first = self.taken_from.get_or_init(|| inside.clone());
        if first.mountpoint != inside.mountpoint && mount_source(first) != source {
            return Err(Failure::usage(format!(
                "{} and {} are mounts of different stores",
                first.mountpoint.display(),
                inside.mountpoint.display()
            ))
            .hint("copy through a local folder: `meshfs cp ADDR ./folder`, then `meshfs cp ./folder ADDR`"));
        }
        Ok(())
    }

    /// Which mesh this is about. To be asked only when all addresses have been read.
    pub fn connection(&self) -> &Connection {
        self.connection.get_or_init(|| {
            let in_mount = match (self.taken_from.get(), &self.settings.asked_store) {
                (Some(inside), _) => Some(inside),
                (None, Some(_)) => None,
                (None, None) => self.current.inside(),
            };
            match in_mount.and_then(|inside| Some((inside, mount_source(inside)?))) {
                Some((inside, source)) => self.through_mount(inside, source),
                None => self.by_store(self.settings.store()),
            }
        })
    }

    fn through_mount(&self, inside: &Inside, source: String) -> Connection {
        if let Some(info) = instance::at_mountpoint(&self.settings, &inside.mountpoint) {
            return self.through_daemon(info);
        }
        match instance::gone_from_mountpoint(&self.settings, &inside.mountpoint) {
            // Killed: its state folder is free, and this process can take it.
            Some(info) => Connection { daemon: None, ..self.through_daemon(info) },
            None => Connection { foreign_mount: Some(inside.mountpoint.clone()), ..self.by_store(&source) },
        }
    }

    fn by_store(&self, store: &str) -> Connection {
        match instance::of_store(&self.settings, store) {
            Some(info) => self.through_daemon(info),
            None => Connection {
                store: store_name::normal(store),
                settings: self.settings.clone(),
                daemon: None,
                foreign_mount: None,
            },
        }
    }

    fn through_daemon(&self, info: Info) -> Connection {
        let settings = Settings {
            state_root: info.state_root().to_owned(),
            cache_root: info.cache_root.clone(),
            ..self.settings.clone()
        };
        Connection { store: info.store.clone(), settings, daemon: Some(info), foreign_mount: None }
    }

    /// How a new mesh is made: in the given store, or the one that was asked for.
    pub fn init_options(&self, store: Option<&str>) -> MeshOptions {
        run::mesh_options(&self.settings, store.unwrap_or(self.settings.store()))
    }

    fn mesh_options(&self) -> MeshOptions {
        let connection = self.connection();
        run::mesh_options(&connection.settings, &connection.store)
    }

    /// The mesh, opened for reading at the first call.
    pub async fn mesh(&self) -> Result<&Mesh, Failure> {
        let open = || async {
            let options = self.mesh_options();
            // A store that does not answer is asked for a minute: say what is waited for.
            let waits = options.store_url.contains("://");
            let _progress = waits.then(|| self.ui.spinner(&format!("opening {}", options.store_url)));
            Ok(Mesh::open(options).await?)
        };
        self.mesh.get_or_try_init(open).await
    }

    /// The daemon that has the mesh mounted, on this state folder.
    pub async fn daemon(&self) -> Result<Option<Client>, Failure> {
        if let Some(info) = &self.connection().daemon {
            return Ok(Some(Client::new(info.clone())));
        }
        // The store may have another name there: the mesh's own id decides.
        let mesh = self.mesh().await?;
        Ok(instance::in_folder(mesh.state_dir()).map(Client::new))
    }

    /// Performs `request`: in the daemon when one has the state folder, in this process otherwise.
    pub async fn perform(&self, request: Request) -> Result<Reply, Failure> {
        if let Some(daemon) = self.daemon().await? {
            return daemon.perform(request).await;
        }
        verbs::perform(self.here().await?, request).await
    }

    /// The state folder, held by this process: where there is no daemon.
    pub async fn here(&self) -> Result<&Here, Failure> {
        if let Some(mountpoint) = &self.connection().foreign_mount {
            return Err(Failure::failed(format!(
                "the daemon of the mount {} cannot be reached: another user's, or one with another state folder",
                mountpoint.display()
            ))
            .hint("use the control files in .meshfs/, or be that user, or give --state-dir as `meshfs mount` had it"));
        }
        let mesh = self.mesh().await?;
        self.here.get_or_try_init(|| Here::open(mesh.clone())).await
    }

    /// The domain `name`, opened for reading; an unknown one comes with what was probably meant.
    pub async fn domain(&self, name: &str) -> Result<Domain, Failure> {
        let mesh = self.mesh().await?;
        let result = verbs::open_domain(mesh, name).await;
        result.map_err(|failure| address::explain_unknown_domain(failure, name, self.current_address().as_ref()))
    }

    /// The branch whose working tree an address means.
    pub fn branch_name(&self, address: &Address) -> Result<BranchName, Failure> {
        let branch = match &address.view {
            View::Default => None,
            View::Branch(branch) => Some(branch.clone()),
            View::Revision(_) => {
                return Err(Failure::usage(format!("{address} is a snapshot, which is read-only"))
                    .hint("name a branch, DOMAIN/BRANCH: `meshfs branch create` makes one from a snapshot"));
            }
        };
        Ok(BranchName { domain: address.domain.clone(), branch })
    }
}

/// The store of the mount that `inside` lies in.
fn mount_source(inside: &Inside) -> Option<String> {
    mounts::at(&inside.mountpoint).map(|line| line.source)
}
