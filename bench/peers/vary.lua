-- Twenty thousand distinct requests: query, x-request-id and traceparent differ, so that no proxy
-- gets by with a cache of whole heads. The path and the host come from the environment.
local count, at, requests = 20000, 0, {}
local path = os.getenv("BENCH_PATH")
local host = os.getenv("BENCH_HOST")

local function hex(digits)
  local parts = {}
  for k = 1, digits / 4 do parts[k] = string.format("%04x", math.random(0, 65535)) end
  return table.concat(parts)
end

function init(args)
  math.randomseed(2026)
  for k = 1, count do
    requests[k] = table.concat({
      "GET " .. path .. "?id=" .. k .. " HTTP/1.1",
      "Host: " .. host,
      "User-Agent: bench-client/1.0",
      "Accept: */*",
      "Accept-Encoding: gzip, deflate",
      "X-Request-Id: " .. hex(32),
      "Traceparent: 00-" .. hex(32) .. "-" .. hex(16) .. "-01",
      "", "",
    }, "\r\n")
  end
end

function request()
  at = at % count + 1
  return requests[at]
end
