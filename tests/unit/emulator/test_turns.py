"""The line in front of a server that queues: first come, first served, and no place is lost or given twice."""

import asyncio

from cluster_tts.emulator.turns import Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class House:
    """Places, and who came in, in this order."""

    def __init__(self, places: int | None) -> None:
        self.places, self.inside = places, 0
        self.came: list[str] = []
        self.turns = Turns(lambda: None if self.places is None else self.places - self.inside)

    async def come(self, name: str) -> None:
        await self.turns.wait()
        self.inside += 1
        self.came.append(name)
        self.turns.call()

    def go(self) -> None:
        self.inside -= 1
        self.turns.call()


async def test_who_came_first_is_served_first_whoever_comes_when_a_place_is_free() -> None:
    house = House(1)
    waiting = [asyncio.create_task(house.come(name)) for name in "abc"]
    await settle()
    assert house.came == ["a"]
    house.go()
    late = asyncio.create_task(house.come("d"))  # at the very moment in which b was called
    await settle()
    assert house.came == ["a", "b"]
    for _ in range(2):
        house.go()
        await settle()
    await asyncio.gather(*waiting, late)
    assert house.came == ["a", "b", "c", "d"]


async def test_who_gives_up_waiting_or_when_called_leaves_his_turn_to_the_next() -> None:
    house = House(1)
    tasks = {name: asyncio.create_task(house.come(name)) for name in "abcd"}
    await settle()
    tasks["b"].cancel()
    house.go()  # b is still in line
    tasks["c"].cancel()  # c was just called
    await settle()
    assert house.came == ["a", "d"]


async def test_more_places_let_in_at_once_and_no_limit_lets_in_all() -> None:
    house = House(1)
    tasks = [asyncio.create_task(house.come(name)) for name in "abcde"]
    await settle()
    house.places = 3
    house.turns.call()
    await settle()
    assert house.came == ["a", "b", "c"]
    house.places = None
    house.turns.call()
    await asyncio.gather(*tasks)
    assert house.inside == 5
