"""Other people's clients against the embedded exchange over TLS, each unchanged but for its addresses, in a process and packages of its own.

Their scripts print what a user of theirs gets; here it is judged. They run at the same time, each only once.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from tests.clients.support import (
    OF_FEEDS,
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

SCRIPTS = {client: f"{client.replace('-', '_')}_client" for client in OF_FEEDS}

pytestmark = pytest.mark.timeout(len(SCRIPTS) * environments.LIMIT_S + 2 * WAIT_S)


@pytest.fixture(scope="module")
def result_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Result]]:
    """What a client got; skips for one that cannot be installed."""
    with results(SCRIPTS, "binance", tmp_path_factory.mktemp("clients")) as result_of:
        yield result_of


def test_not_every_client_is_missing() -> None:
    missing = [why for client in SCRIPTS if isinstance(why := interpreter(client), str)]
    assert len(missing) < len(SCRIPTS), missing


def test_ccxt_loads_markets_and_fetches(result_of: Callable[[str], Result]) -> None:
    got = result_of("ccxt")
    assert set(got["markets"]) == {f"{base}/USDT" for base in SYMBOLS}
    market = got["markets"]["BTC/USDT"]
    assert (market["id"], market["base"], market["quote"], market["active"]) == ("BTCUSDT", "BTC", "USDT", True)
    assert market["precision"]["price"] == 0.01
    assert market["precision"]["amount"] == 0.00001
    assert 0 < market["limits"]["price"]["min"] < market["limits"]["price"]["max"]
    assert abs(got["time"] / 1000 - time.time()) < 2 * WAIT_S
    assert {trade["symbol"] for trade in got["trades"]} == {"BTC/USDT"}
    assert_consecutive([trade["id"] for trade in got["trades"]], at_least=20)
    book = got["order_book"]
    assert_side([price for price, _ in book["bids"]], 20, rising=False)
    assert_side([price for price, _ in book["asks"]], 20, rising=True)
    assert_uncrossed([(book["bids"][0][0], book["asks"][0][0])])
    assert set(got["tickers"]) == set(got["bids_asks"]) == set(got["markets"])
    for name, ticker in {**got["tickers"], "BTC/USDT": got["ticker"]}.items():
        assert ticker["symbol"] == name
        assert_within(ticker["low"], ticker["last"], ticker["high"])
    assert_uncrossed([(ticker["bid"], ticker["ask"]) for ticker in got["bids_asks"].values()])
    for window in (got["window"], got["trading_day"]):
        assert window["symbol"] == "BTCUSDT"
        assert_within(window["lowPrice"], window["lastPrice"], window["highPrice"])
    day = got["ticker"]
    assert float(got["last_prices"]["BTC/USDT"]["price"]) == pytest.approx(day["last"], rel=0.01)
    assert float(got["average"]["price"]) == pytest.approx(day["last"], rel=0.01)
    assert_bars(got["ohlcv"])


def test_ccxt_pro_watches(result_of: Callable[[str], Result]) -> None:
    got = result_of("ccxt")
    ids, symbols = zip(*got["watch_trades"], strict=True)
    assert set(symbols) == {"BTC/USDT"}
    assert_consecutive(ids, at_least=200)
    symbols, nonces, bids, asks = zip(*got["watch_order_book"], strict=True)
    assert set(symbols) == {"BTC/USDT"}
    assert_rising(nonces, at_least=50)
    assert_uncrossed(list(zip(bids, asks, strict=True)))
    assert list(got["watch_tickers"]) == list(got["watch_bids_asks"]) == ["BTC/USDT"]
    for ticker in (got["watch_ticker"], got["watch_tickers"]["BTC/USDT"]):
        assert ticker["symbol"] == "BTC/USDT"
        assert_within(ticker["low"], ticker["last"], ticker["high"])
    assert_uncrossed([(got["watch_bids_asks"]["BTC/USDT"]["bid"], got["watch_bids_asks"]["BTC/USDT"]["ask"])])
    assert_bars(got["watch_ohlcv"])
    assert {trade["symbol"] for trade in got["watch_trades_for_symbols"]} <= {"ETH/USDT", "SOL/USDT"}
    assert_consecutive([trade["id"] for trade in got["watch_trades_for_symbols"]], at_least=1)


def test_python_binance_asks_over_rest(result_of: Callable[[str], Result]) -> None:
    got = result_of("python-binance")
    names = [f"{base}USDT" for base in SYMBOLS]
    assert [row["symbol"] for row in got["exchange_info"]["symbols"]] == names
    assert got["symbol_info"] == got["exchange_info"]["symbols"][0]
    assert abs(got["time"]["serverTime"] / 1000 - time.time()) < 2 * WAIT_S
    book = got["order_book"]
    assert_side([price for price, _ in book["bids"]], 20, rising=False)
    assert_side([price for price, _ in book["asks"]], 20, rising=True)
    assert_uncrossed([(book["bids"][0][0], book["asks"][0][0])])
    assert_consecutive([row["id"] for row in got["historical_trades"]], at_least=20)
    assert_consecutive([row["a"] for row in got["aggregate_trades"]], at_least=20)
    fills = [(row["f"], row["l"]) for row in got["aggregate_trades"]]
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(fills))
    for rows in (got["klines"], got["ui_klines"]):
        assert_bars(rows)
    assert [row["symbol"] for row in got["tickers"]] == names
    for ticker in (*got["tickers"], got["ticker"], got["symbol_ticker_window"]):
        assert_within(ticker["lowPrice"], ticker["lastPrice"], ticker["highPrice"])
    assert (got["ticker"]["symbol"], got["symbol_ticker_window"]["symbol"]) == ("BTCUSDT", "BTCUSDT")
    assert [row["symbol"] for row in got["all_tickers"]] == [row["symbol"] for row in got["orderbook_tickers"]] == names
    assert_uncrossed(
        [(row["bidPrice"], row["askPrice"]) for row in (*got["orderbook_tickers"], got["orderbook_ticker"])]
    )
    for price in (got["avg_price"]["price"], got["symbol_ticker"]["price"]):
        assert float(price) == pytest.approx(float(got["ticker"]["lastPrice"]), rel=0.01)


def test_python_binance_listens_to_sockets(result_of: Callable[[str], Result]) -> None:
    got = result_of("python-binance")
    single = [
        name for name in got if name.endswith("_socket") and name not in ("multiplex_socket", "miniticker_socket")
    ]
    assert len(single) == 8
    assert {message.get("s", "BTCUSDT") for name in single for message in got[name]} == {"BTCUSDT"}
    assert_consecutive([message["t"] for message in got["trade_socket"]], at_least=200)
    assert_consecutive([message["a"] for message in got["aggtrade_socket"]], at_least=200)
    chain = [(message["U"], message["u"]) for message in got["depth_socket"]]
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(chain))
    (partial,) = got["partial_depth_socket"]
    assert_side([price for price, _ in partial["bids"]], 10, rising=False)
    assert_side([price for price, _ in partial["asks"]], 10, rising=True)
    (kline,) = got["kline_socket"]
    assert_bars([[kline["k"]["t"], *(kline["k"][key] for key in "ohlc")]])
    (all_market,) = got["miniticker_socket"]
    assert {message["s"] for message in all_market} <= {f"{base}USDT" for base in SYMBOLS}
    for message in (*all_market, *got["symbol_miniticker_socket"], *got["symbol_ticker_socket"]):
        assert_within(message["l"], message["c"], message["h"])
    assert_rising([message["u"] for message in got["symbol_book_ticker_socket"]], at_least=30)
    assert_uncrossed([(message["b"], message["a"]) for message in got["symbol_book_ticker_socket"]])
    for symbol in ("BTCUSDT", "ETHUSDT"):
        trades = [m["data"] for m in got["multiplex_socket"] if m["stream"] == f"{symbol.lower()}@trade"]
        assert {trade["s"] for trade in trades} == {symbol}
        assert_consecutive([trade["t"] for trade in trades], at_least=10)
    assert {symbol for symbol, _, _ in got["depth_cache"]} == {"BTCUSDT"}
    assert_uncrossed([(bid, ask) for _, bid, ask in got["depth_cache"]])


def test_cryptofeed_gets_trades_books_tickers_and_candles(result_of: Callable[[str], Result]) -> None:
    got = result_of("cryptofeed")
    assert {event[0] for events in got.values() for event in events} == {"BTC-USDT", "ETH-USDT"}
    for symbol in ("BTC-USDT", "ETH-USDT"):
        of = {channel: [event[1:] for event in events if event[0] == symbol] for channel, events in got.items()}
        assert_consecutive([number for number, *_ in of["trades"]], at_least=20)
        assert all(side in ("buy", "sell") for *_, side in of["trades"])
        assert_rising([sequence for sequence, _, _ in of["l2_book"]], at_least=20)
        assert_uncrossed([(bid, ask) for _, bid, ask in of["l2_book"]])
        assert_uncrossed(of["ticker"])
    for _, start, stop, interval, high, low in got["candles"]:
        assert (start % 60, round(stop - start, 3), interval) == (0, 59.999, "1m")
        assert 0 < float(low) <= float(high)
