"""A small search service: documents by HTTP, searches that run side by side.

    python fastapi_service.py [PORT]
    curl -X PUT localhost:8000/notes/1 -H 'content-type: application/json' -d '{"text": "A walk"}'
    curl 'localhost:8000/search?q=walking'

The file is NOTES_FILE in the environment, or notes.mvdb in the working folder. One process serves:
it has one thread that writes and up to 32 that read.

Needs: pip install mvdb-engine fastapi uvicorn
"""

import json
import os
import sys
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from small_encoder import choose

import mvdb
import mvdb.aio


class Note(BaseModel):
    text: str
    metadata: dict[str, Any] = {}


@asynccontextmanager
async def lifespan(app: FastAPI):
    file = os.environ.get("NOTES_FILE", "notes.mvdb")
    async with mvdb.aio.open(file, encoder=choose()) as db:
        app.state.db = db
        yield  # requests are served here; the file is closed behind the last one


app = FastAPI(title="Notes", lifespan=lifespan)


def opened(request: Request) -> mvdb.aio.Database:
    return request.app.state.db


Db = Annotated[Any, Depends(opened)]


@app.exception_handler(mvdb.InvalidInputError)
@app.exception_handler(mvdb.FilterError)
async def refused(_: Request, error: mvdb.Error) -> JSONResponse:
    """mvdb's messages name the fault, its place and the remedy: they may go to the client."""
    return JSONResponse({"detail": str(error)}, status_code=422)


@app.put("/notes/{id}", status_code=204)
async def put(id: str, note: Note, db: Db) -> None:
    """Durable when the answer arrives."""
    await db.upsert(id, texts=note.text, metadata=note.metadata)


@app.get("/notes/{id}")
async def get(id: str, db: Db) -> dict[str, Any]:
    (document,) = await db.get([id])
    if document is None:
        raise HTTPException(404, f"no note {id!r}")
    return document.to_dict()


@app.delete("/notes/{id}", status_code=204)
async def delete(id: str, db: Db) -> None:
    if not await db.delete([id]):
        raise HTTPException(404, f"no note {id!r}")


@app.get("/search")
async def search(
    db: Db,
    q: str,
    k: Annotated[int, Query(ge=1, le=100)] = 10,
    page: Annotated[int, Query(ge=0, le=100)] = 0,
    filter: str | None = None,
) -> list[dict[str, Any]]:
    """Hits by meaning and words. filter: a JSON object, such as {"year": {"$gte": 2020}}."""
    try:
        condition = None if filter is None else json.loads(filter)
    except ValueError as error:
        raise HTTPException(422, f"filter: not JSON: {error}") from error
    hits = await db.search(q, k, filter=condition, offset=page * k)
    return [hit.to_dict() for hit in hits]


@app.get("/facets/{field}")
async def facets(field: str, db: Db) -> list[tuple[Any, int]]:
    return await db.facets(field)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
