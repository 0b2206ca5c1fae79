"""The command palette: every action that has a key, found by its words, with its key beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from textual.binding import Binding
    from textual.dom import DOMNode


class KeyCommands(Provider):
    """Offers what the keys of the screen below do."""

    def _commands(self) -> Iterator[tuple[str, Binding, DOMNode]]:
        seen = set[str]()
        for node, binding, enabled, _ in self.screen.active_bindings.values():
            known = binding.action in seen or binding.system or not binding.description
            place = isinstance(node, App | Screen)  # moving about needs no palette
            if place and enabled and not known and binding.action != "command_palette":
                seen.add(binding.action)
                yield binding.tooltip or binding.description, binding, node

    async def discover(self) -> Hits:
        """All of them."""
        for words, binding, node in self._commands():
            yield DiscoveryHit(words, self._run(binding, node), help=self._key(binding))

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for words, binding, node in self._commands():
            if (score := matcher.match(words)) > 0:
                shown = matcher.highlight(words)
                yield Hit(score, shown, self._run(binding, node), words, self._key(binding))

    def _key(self, binding: Binding) -> str:
        return f"key {self.app.get_key_display(binding)}"

    def _run(self, binding: Binding, node: DOMNode) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await self.app.run_action(binding.action, node)

        return run
