"""What electrons and lattices have in common: they are functions, with options that are not set in place."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from .binding import Binder
from .deps import name_of


class Decorated(ABC):
    """A function with options. ``function`` is the user's."""

    _kind: ClassVar[str]  # with its article, as errors call it
    _options: ClassVar[Collection[str]]
    _absent: ClassVar[Mapping[str, str]]  # attributes that Covalent's have -> what there is instead
    _instead: ClassVar[str] = ""  # of any other attribute
    function: Any

    @property
    def function_name(self) -> str:
        return name_of(self.function)

    @property
    def name(self) -> str:
        return name_of(self.function)

    @property
    def place(self) -> str:
        """The notebook's cell that it was written in, as people call it: ``Cell In[5]``; "" if it was written elsewhere."""
        found: str = self.__dict__.get("_place", "")
        return found

    @property
    def binder(self) -> Binder:
        found: Binder | None = self.__dict__.get("_binder")
        if found is None:
            found = self.__dict__["_binder"] = Binder(self.function)
        return found

    def __getattr__(self, name: str) -> Any:
        # what update_wrapper has copied is not pickled, and comes from the function again
        if name in functools.WRAPPER_ASSIGNMENTS and "function" in self.__dict__:
            return getattr(self.function, name)
        if name == "__wrapped__" and "function" in self.__dict__:
            return self.function
        of_covalent = ", which Covalent's have" if name in self._absent else ""
        reason = self._absent.get(name, self._instead)
        raise AttributeError(f"{self._kind} has no attribute {name!r}{of_covalent}" + (f": {reason}" if reason else ""))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._options:
            raise AttributeError(
                f"the options of {self.name} cannot be set in place, for others use it too: {self._other_with(name)}"
            )
        super().__setattr__(name, value)

    @abstractmethod
    def _other_with(self, option: str) -> str:
        """How one is made that has another value of the option."""
