"""Other people's clients with USD-M futures against the embedded exchange over TLS, each unchanged but for its addresses.

All of them choose the route of a stream themselves: that they get anything shows that the exchange has the same routes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from tests.clients.support import (
    SYMBOLS,
    WAIT_S,
    Result,
    assert_bars,
    assert_consecutive,
    assert_rising,
    assert_side,
    assert_uncrossed,
    assert_within,
    interpreter,
    results,
)
from tests.support import environments

SCRIPTS = {
    "ccxt": "ccxt_usdm_client",
    "python-binance": "python_binance_usdm_client",
    "unicorn": "unicorn_usdm_client",
}
NAMES = [f"{asset}USDT" for asset in SYMBOLS]

pytestmark = pytest.mark.timeout(len(SCRIPTS) * environments.LIMIT_S + 2 * WAIT_S)


@pytest.fixture(scope="module")
def result_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Result]]:
    """What a client got; skips for one that cannot be installed."""
    with results(SCRIPTS, "binance_usdm", tmp_path_factory.mktemp("clients")) as result_of:
        yield result_of


def test_not_every_client_is_missing() -> None:
    missing = [why for client in SCRIPTS if isinstance(why := interpreter(client), str)]
    assert len(missing) < len(SCRIPTS), missing


def assert_single_holes(ids: list[int], at_least: int) -> None:
    """Trades that are not told have an id."""
    assert_rising(ids, at_least)
    steps = [later - earlier for earlier, later in itertools.pairwise(ids)]
    assert set(steps) <= {1, 2} and steps.count(1) > steps.count(2)


def test_ccxt_loads_markets_and_fetches(result_of: Callable[[str], Result]) -> None:
    got = result_of("ccxt")
    assert set(got["markets"]) == {f"{base}/USDT:USDT" for base in SYMBOLS}
    market = got["markets"]["BTC/USDT:USDT"]
    assert (market["id"], market["type"], market["linear"], market["settle"]) == ("BTCUSDT", "swap", True, "USDT")
    assert (market["active"], market["precision"]["price"], market["precision"]["amount"]) == (True, 0.01, 0.00001)
    assert abs(got["time"] / 1000 - time.time()) < 2 * WAIT_S
    assert_consecutive([trade["id"] for trade in got["trades"]], at_least=20)
    book = got["order_book"]
    assert_side([price for price, _ in book["bids"]], 20, rising=False)
    assert_side([price for price, _ in book["asks"]], 20, rising=True)
    assert set(got["tickers"]) == set(got["bids_asks"]) == set(got["markets"])
    for name, ticker in {**got["tickers"], "BTC/USDT:USDT": got["ticker"]}.items():
        assert ticker["symbol"] == name
        assert_within(ticker["low"], ticker["last"], ticker["high"])
    assert_uncrossed([(ticker["bid"], ticker["ask"]) for ticker in got["bids_asks"].values()])
    assert_bars(got["ohlcv"])
    last = got["ticker"]["last"]
    for price in (got["mark"]["markPrice"], got["funding_rate"]["markPrice"], got["funding_rate"]["indexPrice"]):
        assert float(price) == pytest.approx(last, rel=0.01)
    times = [row["timestamp"] for row in got["funding_history"]]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [8 * 3_600_000] * 4
    assert got["open_interest"]["openInterestAmount"] > 0


def test_ccxt_pro_watches(result_of: Callable[[str], Result]) -> None:
    got = result_of("ccxt")
    ids, symbols = zip(*got["watch_trades"], strict=True)
    assert set(symbols) == {"BTC/USDT:USDT"}
    assert_single_holes([int(number) for number in ids], at_least=200)
    symbols, nonces, bids, asks = zip(*got["watch_order_book"], strict=True)
    assert set(symbols) == {"BTC/USDT:USDT"}
    assert_rising(nonces, at_least=50)
    assert_uncrossed(list(zip(bids, asks, strict=True)))
    for ticker in (got["watch_ticker"], got["watch_tickers"]["BTC/USDT:USDT"]):
        assert_within(ticker["low"], ticker["last"], ticker["high"])
    best = got["watch_bids_asks"]["BTC/USDT:USDT"]
    assert_uncrossed([(best["bid"], best["ask"])])
    assert_bars(got["watch_ohlcv"])
    assert float(got["watch_mark_price"]["markPrice"]) == pytest.approx(got["ticker"]["last"], rel=0.01)
    assert {trade["symbol"] for trade in got["watch_trades_for_symbols"]} <= {"ETH/USDT:USDT", "SOL/USDT:USDT"}


def test_python_binance_asks_over_rest(result_of: Callable[[str], Result]) -> None:
    got = result_of("python-binance")
    assert [row["symbol"] for row in got["exchange_info"]["symbols"]] == NAMES
    assert abs(got["time"]["serverTime"] / 1000 - time.time()) < 2 * WAIT_S
    book = got["order_book"]
    assert_side([price for price, _ in book["bids"]], 20, rising=False)
    assert_side([price for price, _ in book["asks"]], 20, rising=True)
    for trades in (got["recent_trades"], got["historical_trades"]):
        assert_single_holes([row["id"] for row in trades], at_least=5)
    assert_consecutive([row["a"] for row in got["aggregate_trades"]], at_least=5)
    assert_bars(got["klines"])
    for rows in (got["tickers"], got["mark_prices"], got["orderbook_tickers"]):
        assert [row["symbol"] for row in rows] == NAMES
    for ticker in (*got["tickers"], got["ticker"]):
        assert_within(ticker["lowPrice"], ticker["lastPrice"], ticker["highPrice"])
    assert_uncrossed(
        [(row["bidPrice"], row["askPrice"]) for row in (*got["orderbook_tickers"], got["orderbook_ticker"])]
    )
    assert float(got["mark_price"]["markPrice"]) == pytest.approx(float(got["ticker"]["lastPrice"]), rel=0.01)
    assert {row["symbol"] for row in got["funding_rate"]} == {got["open_interest"]["symbol"]} == {"BTCUSDT"}


def test_python_binance_listens_to_sockets(result_of: Callable[[str], Result]) -> None:
    got = result_of("python-binance")
    assert_consecutive([message["data"]["a"] for message in got["aggtrade_socket"]], at_least=200)
    chain = [(message["data"]["pu"], message["data"]["u"]) for message in got["depth_socket"]]
    assert all(later[0] == earlier[1] for earlier, later in itertools.pairwise(chain))
    for message in got["depth_socket"]:
        assert_side([price for price, _ in message["data"]["b"]], 10, rising=False)
        assert_side([price for price, _ in message["data"]["a"]], 10, rising=True)
    (kline,) = got["kline_socket"]
    assert (kline["e"], kline["ct"]) == ("continuous_kline", "PERPETUAL")
    assert_bars([[kline["k"]["t"], *(kline["k"][key] for key in "ohlc")]])
    ((mark,), (marks,), (tickers,)) = (got[f"{name}_socket"] for name in ("mark_price", "all_mark_price", "all_ticker"))
    assert mark["data"]["s"] == "BTCUSDT"
    for rows in (marks["data"], tickers["data"]):
        assert {row["st"] for row in rows} == {1, 2}
        assert {row["s"] for row in rows if row["st"] == 1} <= set(NAMES)
    (day,) = got["day_ticker_socket"]
    assert_within(day["data"]["l"], day["data"]["c"], day["data"]["h"])
    assert_rising([message["data"]["u"] for message in got["ticker_socket"]], at_least=30)
    assert {message["data"]["s"] for message in got["multiplex_socket"]} == {"BTCUSDT", "ETHUSDT"}
    assert_uncrossed([(message["data"]["b"], message["data"]["a"]) for message in got["multiplex_socket"]])
    assert {symbol for symbol, _, _ in got["depth_cache"]} == {"BTCUSDT"}
    assert_uncrossed([(bid, ask) for _, bid, ask in got["depth_cache"]])


def test_unicorn_gets_every_channel_on_its_route(result_of: Callable[[str], Result]) -> None:
    got = result_of("unicorn")
    assert {name.partition("@")[2] for name in got} == {
        "bookTicker", "depth@100ms", "depth5@500ms", "aggTrade", "markPrice@1s", "kline_1m",
    }  # fmt: skip
    for symbol in ("btcusdt", "ethusdt"):
        assert_consecutive([event["a"] for event in got[f"{symbol}@aggTrade"]], at_least=20)
        assert_rising([event["u"] for event in got[f"{symbol}@bookTicker"]], at_least=20)
        changes = got[f"{symbol}@depth@100ms"]
        assert all(later["pu"] == earlier["u"] for earlier, later in itertools.pairwise(changes)) and len(changes) > 10
    assert {event["s"] for events in got.values() for event in events} == {"BTCUSDT", "ETHUSDT"}
