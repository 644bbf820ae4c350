"""Settings, and what files say of a project; the only room that reads the environment."""

from tasktrail.config.settings import (
    SETTINGS,
    Config,
    Setting,
    StoreLocation,
    environment,
    find_store,
    find_store_for_folder,
    inherited_trace,
    init_template,
    load,
    prepare_folder,
    user_file,
    write_init,
)
from tasktrail.config.tables import TABLES, Table, find_table

__all__ = [
    "SETTINGS",
    "TABLES",
    "Config",
    "Setting",
    "StoreLocation",
    "Table",
    "environment",
    "find_store",
    "find_store_for_folder",
    "find_table",
    "inherited_trace",
    "init_template",
    "load",
    "prepare_folder",
    "user_file",
    "write_init",
]
