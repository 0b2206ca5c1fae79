"""The terminal's side of creche: the command line and the dashboard.

A process of its own, on asyncio. It reads a store's file and talks to the engine's control
socket; it never holds a task.
"""
