"""The Update Framework's side of the registry: keys, roles, what is listed, what devices fetch.

Lives here: the ceremony, adding and revoking targets, signing, publication, renewal, rotation and
checks of a repository in a folder. Not here: HTTP (the registry serves two folders as they are),
which version is in which stage, and who may ask for a signature.

Keys: root and targets keys are offline, encrypted with a passphrase; the 256 hash bins that list
targets are signed with the targets keys. Snapshot and timestamp keys are online, in a folder of
the registry's own. So a stolen registry can neither list a file nor change what is said of one.

The registry's side::

    repository = Repository(folder, online=Path("online"))   # both of `create`, the ceremony
    repository.metadata, repository.targets                   # folders: /tuf/metadata, /tuf/targets
    repository.stage(path, file, custom, now=now)      # copies the file, publishes nothing
    repository.stage_removal(path, now=now)
    repository.staged() -> list[Staged]                       # .role, .document (bytes), .changes
    repository.accept([signed document, …], now=now)          # checked, installed and published
    repository.publish(now=now)                               # new snapshot and timestamp
    repository.refresh(now=now) -> bool                       # only if one of them is due
    repository.find(path) -> TargetFile | None                # .length, .hashes, .custom
    repository.listing() -> dict[str, TargetFile]
    inspection.status(repository, now=now) -> list[RoleStatus]
    inspection.verify(repository, now=now) -> int             # targets checked; raises TrustError
    repository.root_bytes() -> bytes                          # newest root, for a device to pin

The operator's side, where the targets keys are, needs no repository::

    keys = load_keys(folder, "targets", passphrase)
    for one in changes_of(document, listed): print(one)       # look before you sign
    signed = sign(document, keys)                             # call again to add a second person's

Everything raises ``TrustError`` or an error below it, one clear line.
"""
