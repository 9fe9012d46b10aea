-- What wrk sends: the same request with another of the given header lines each time, from a file with one on each line.
-- Arguments: the file; `once` to end with the last line, else they come again; the size of a body in bytes, 0 for a GET; Host.
local requests, at, once = {}, 0, false

function init(args)
  once = args[2] == 'once'
  local size = tonumber(args[3])
  local method = size > 0 and 'POST' or 'GET'
  local body = size > 0 and string.rep('x', size) or nil
  for line in io.lines(args[1]) do
    local headers = { Host = args[4], Accept = '*/*', ['Content-Type'] = body and 'application/octet-stream' }
    local name, value = line:match('^([^:]+): (.*)$')
    if name then headers[name] = value end
    requests[#requests + 1] = wrk.format(method, nil, headers, body)
  end
end

function request()
  at = at + 1
  if at > #requests then
    if once then wrk.thread:stop() end
    at = 1
  end
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
