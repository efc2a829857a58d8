//! Records as columns of Parquet or Arrow.

use std::{io::BufWriter, path::Path, sync::Arc};

use arrow_ipc::writer::FileWriter;
use arrow_json::{ReaderBuilder, reader::infer_json_schema_from_iterator};
use arrow_schema::{ArrowError, Schema};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};
use serde::Serialize;
use serde_json::Value;

use super::{Failed, Layout, unwritable, write_file};
use crate::error::Result;

/// Rows that become columns at once.
const BATCH_LEN: usize = 1024;

/// Writes records as columns. All are in memory, since the first may show the schema no better than the last.
pub(super) fn write<'a, T: Serialize + 'a>(
    path: &Path,
    layout: Layout,
    records: impl IntoIterator<Item = &'a T>,
) -> Result<()> {
    let to_value = |(i, record): (usize, &T)| serde_json::to_value(record).map_err(|error| unwritable(path, i, &error));
    let rows = records.into_iter().enumerate().map(to_value).collect::<Result<Vec<Value>>>()?;
    let schema = infer_json_schema_from_iterator(rows.iter().map(Ok::<_, ArrowError>));
    let schema = Arc::new(schema.map_err(|error| unwritable(path, 0, &error))?);
    for (i, row) in rows.iter().enumerate() {
        if let Some(field) = lost(row, "") {
            return Err(unwritable(path, i, &format!("field `{field}`: columns keep no null and no empty object")));
        }
    }
    write_file(path, |file| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        match layout {
            Layout::Arrow => {
                let mut writer = FileWriter::try_new(&mut out, &schema).map_err(|error| failed(path, 0, error))?;
                each_batch(path, &schema, &rows, |batch| writer.write(batch))?;
                writer.finish().map_err(|error| failed(path, 0, error))?;
            }
            _ => {
                let packing = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(packing).build();
                let writer = ArrowWriter::try_new(&mut out, schema.clone(), Some(properties));
                let mut writer = writer.map_err(|error| failed(path, 0, error.into()))?;
                each_batch(path, &schema, &rows, |batch| writer.write(batch).map_err(arrow_error))?;
                writer.close().map_err(|error| failed(path, 0, error.into()))?;
            }
        }
        Ok(std::io::Write::flush(&mut out)?)
    })
}

fn arrow_error(error: ParquetError) -> ArrowError {
    error.into()
}

fn each_batch(
    path: &Path,
    schema: &Arc<Schema>,
    rows: &[Value],
    mut write: impl FnMut(&arrow_array::RecordBatch) -> Result<(), ArrowError>,
) -> Result<(), Failed> {
    for (i, rows) in rows.chunks(BATCH_LEN).enumerate() {
        let at = i * BATCH_LEN;
        let decoder = ReaderBuilder::new(schema.clone()).with_strict_mode(true).with_batch_size(BATCH_LEN);
        let mut decoder = decoder.build_decoder().map_err(|error| failed(path, at, error))?;
        decoder.serialize(rows).map_err(|error| failed(path, at, error))?;
        let batch = decoder.flush().map_err(|error| failed(path, at, error))?;
        batch.map_or(Ok(()), |batch| write(&batch)).map_err(|error| failed(path, at, error))?;
    }
    Ok(())
}

fn failed(path: &Path, record_index: usize, error: ArrowError) -> Failed {
    match error {
        ArrowError::IoError(_, error) => Failed::System(error),
        error => unwritable(path, record_index, &error).into(),
    }
}

/// A field that columns would lose: a null that means something, or an object without a field.
fn lost(value: &Value, path: &str) -> Option<String> {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Null => Some(path.to_owned()),
        Value::Object(map) if map.is_empty() => Some(path.to_owned()),
        Value::Object(map) => map.iter().find_map(|(key, value)| lost(value, &join(key))),
        Value::Array(list) => list.iter().enumerate().find_map(|(i, value)| lost(value, &format!("{path}[{i}]"))),
        _ => None,
    }
}
