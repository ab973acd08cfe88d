"""Puts the native lane into a wheel, where there is a C compiler; without one the wheel is pure Python and says so."""

from __future__ import annotations

import importlib.util
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeLane(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling for each wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # the checkout's own is used (scripts/setup)
        spec = importlib.util.spec_from_file_location("build", Path(self.root, "k2workers/native/build.py"))
        assert spec is not None
        assert spec.loader is not None
        builder = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(builder)
        self._place = tempfile.TemporaryDirectory()
        why_not = builder.build(Path(self._place.name))
        if why_not:
            self.app.display_warning(f"without the native lane, Python does its work (slower): {why_not}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["force_include"][str(Path(self._place.name, builder.NAME))] = f"k2workers/native/{builder.NAME}"
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"  # one file for every Python from 3.11 on

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_place"):
            self._place.cleanup()
